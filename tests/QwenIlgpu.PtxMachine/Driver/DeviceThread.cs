namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The thread that runs kernels while the thread that waits for them sleeps: what the machine allocates is not counted as the waiting
/// thread's.
/// </summary>
internal sealed class DeviceThread : IDisposable
{
    private readonly AutoResetEvent given = new(false);
    private readonly AutoResetEvent done = new(false);
    private readonly Machine machine;
    private DriverTask? task;
    private Exception? failure;

    public DeviceThread(Machine machine)
    {
        this.machine = machine;
        new Thread(Loop) { IsBackground = true, Name = "device" }.Start();
    }

    /// <summary>Runs a kernel to its end; one at a time.</summary>
    /// <exception cref="FaultException">It broke a rule.</exception>
    public void Run(DriverTask launch)
    {
        (task, failure) = (launch, null);
        given.Set();
        done.WaitOne();
        if (failure is not null)
            throw failure is FaultException fault ? fault : new InvalidOperationException(failure.Message, failure);
    }

    public void Dispose()
    {
        given.Dispose();
        done.Dispose();
    }

    private void Loop()
    {
        while (given.WaitOne())
        {
            try
            {
                PtxKernel kernel = task!.Function!.Kernel;
                machine.Launch(MachineDriver.Instead?.Invoke(kernel) ?? kernel, task.Shape, task.Parameters);
            }
            catch (Exception e)
            {
                failure = e;
            }

            done.Set();
        }
    }
}
