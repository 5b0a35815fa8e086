namespace QwenIlgpu.PtxMachine;

/// <summary>
/// A GPU in C#: it runs PTX as the driver gets it, on the memory that <see cref="Memory"/> knows of, and checks every access. A launch
/// has ended when <see cref="Launch"/> returns. Launches of one machine run one after another.
/// </summary>
public sealed class Machine(MachineOptions? options = null) : IDisposable
{
    private readonly Lock running = new();

    public MachineOptions Options { get; set; } = options ?? new MachineOptions();

    public DeviceMemory Memory { get; } = new();

    /// <summary>What the last launch did; null where <see cref="MachineOptions.Counts"/> is off.</summary>
    public LaunchCounts? Counts { get; private set; }

    /// <summary>Turns that warps had in the last launch: each runs a few blocks of the text, then another has its turn.</summary>
    public long Turns { get; private set; }

    /// <summary>Called after each launch that counted, with the kernel's name and what the launch did.</summary>
    public event Action<string, LaunchCounts>? Counted;

    /// <summary>Runs a grid to its end.</summary>
    /// <param name="kernel">What to run, of a parsed module.</param>
    /// <param name="shape">Groups, threads and dynamic shared memory.</param>
    /// <param name="parameters">The parameter buffer, laid out as the PTX declares; copied at once.</param>
    /// <exception cref="FaultException">The kernel did what no kernel may; memory holds what it had written until then.</exception>
    /// <exception cref="ArgumentException">The shape or the size of the buffer do not fit the kernel.</exception>
    public void Launch(PtxKernel kernel, GridShape shape, ReadOnlySpan<byte> parameters)
    {
        Check(kernel, shape, parameters.Length);
        lock (running)
        {
            LaunchCounters? counters = Options.Counts ? new LaunchCounters(kernel.Program) : null;
            using var launch = new Launch(kernel.Program, shape, parameters, Memory, Options, counters);
            int threads = (int)Math.Min(Options.Threads == 0 ? Environment.ProcessorCount : Options.Threads, shape.Groups);
            var workers = new Task[threads - 1];
            for (int i = 0; i < workers.Length; i++)
            {
                var worker = new Worker(launch, i + 1);
                workers[i] = Task.Factory.StartNew(worker.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            }

            new Worker(launch, 0).Run();
            Task.WaitAll(workers);
            Counts = counters?.Total();
            Turns = launch.Turns;
            if (launch.Faults.Count > 0)
                throw new FaultException(launch.Faults);
            if (Counts is { } counts)
                Counted?.Invoke(kernel.Name, counts);
        }
    }

    public void Dispose() => Memory.Dispose();

    private static void Check(PtxKernel kernel, GridShape shape, int parameterBytes)
    {
        if (parameterBytes != kernel.ParameterBytes)
            throw new ArgumentException($"{kernel.Name} takes {kernel.ParameterBytes} bytes of parameters, and {parameterBytes} are given");
        if (shape.Groups is 0 or > int.MaxValue)
            throw new ArgumentException($"{kernel.Name}: a grid of {shape.GridX} × {shape.GridY} × {shape.GridZ} groups");
        if (shape.GroupThreads == 0 || shape.GroupThreads > kernel.MaxGroupThreads)
            throw new ArgumentException($"{kernel.Name}: a group of {shape.GroupThreads} threads, of at most {kernel.MaxGroupThreads}");
    }
}

/// <summary>How a machine runs and what it watches.</summary>
public sealed record MachineOptions
{
    /// <summary>Orders groups and warps, chooses where they are interrupted and when asynchronous copies land.</summary>
    public int Seed { get; init; }

    /// <summary>Whether undefined values, races and synchronization are checked; bounds and alignment always are.</summary>
    public bool Sanitizes { get; init; } = true;

    /// <summary>What kernels do against the rules on purpose.</summary>
    public IReadOnlyList<Declaration> Declared { get; init; } = [];

    /// <summary>Whether launches count what they do.</summary>
    public bool Counts { get; init; }

    /// <summary>
    /// Turns after which a thread of the host ends a launch as a <see cref="FaultKind.Deadlock"/>: a warp spins on a value that no running
    /// group will write, or never leaves a loop. As it is, far beyond any kernel.
    /// </summary>
    public long MostTurns { get; init; } = 200_000_000;

    /// <summary>How tensor cores add.</summary>
    public TensorCoreSums TensorCoreSums { get; init; }

    /// <summary>Threads that run groups; 0: one a processor.</summary>
    public int Threads { get; init; }
}

/// <summary>How <c>mma</c> adds its products.</summary>
public enum TensorCoreSums
{
    /// <summary>Exact products and an exact sum, rounded once to nearest even.</summary>
    RoundedOnce,

    /// <summary>
    /// The least that hardware was seen to keep: products and accumulator aligned to the largest exponent among them, cut to 24 bits
    /// toward zero, added, and the sum cut toward zero. Bounds must hold here too.
    /// </summary>
    Cut,
}

/// <summary>Groups of a launch, threads of a group, and its dynamic shared memory.</summary>
public readonly record struct GridShape(
    uint GridX, uint GridY, uint GridZ, uint GroupX, uint GroupY, uint GroupZ, uint DynamicSharedBytes)
{
    public long Groups => (long)GridX * GridY * GridZ;

    public long GroupThreads => (long)GroupX * GroupY * GroupZ;
}
