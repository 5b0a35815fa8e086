using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Modules, functions and launches.</summary>
[NonParallelizable]
internal sealed unsafe class DriverModuleTests
{
    private nint context;

    [SetUp]
    public void Open() => context = Driver.Open();

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [Test]
    public void RunsALaunch()
    {
        nint target = Driver.Upload(40);

        Driver.Check(Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), target, 2, 0));

        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 42 }));
    }

    [Test]
    public void RunsALaunchWithAttributes()
    {
        nint target = Driver.Upload(40);
        byte* buffer = stackalloc byte[12];
        *(nint*)buffer = target;
        *(int*)(buffer + 8) = 3;
        nint bytes = 12;
        nint* extra = stackalloc nint[] { 2, (nint)(&bytes), 1, (nint)buffer, 0 };
        uint* configuration = stackalloc uint[] { 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0 };

        Driver.Check(Driver.cuLaunchKernelEx(configuration, Driver.Function(Driver.Adder, "Add"), 0, extra));

        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 43 }));
    }

    [Test]
    public void AFaultIsAFailedLaunch()
    {
        nint target = Driver.Allocate(4);

        int result = Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), target + 2, 2, 0);

        Assert.That(result, Is.EqualTo(719));
        Assert.That(MachineDriver.LastFault!.Faults[0].Kind, Is.EqualTo(FaultKind.Misaligned));
        Driver.Check(Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), Driver.Upload(1), 2, 0));
        Assert.That(MachineDriver.LastFault, Is.Null);
    }

    [Test]
    public void RunsAnotherKernelInstead()
    {
        nint target = Driver.Upload(40);
        nint function = Driver.Function(Driver.Adder, "Add");
        PtxKernel twice = PtxModule.Parse(Driver.Adder.Replace("ld.param.b32 %r1, [value];", "ld.param.b32 %r1, [value];\nadd.s32 %r1, %r1, %r1;", StringComparison.Ordinal))
            .Kernels["Add"];
        var asked = new List<string>();
        MachineDriver.Instead = kernel =>
        {
            asked.Add(kernel.Text);
            return twice;
        };
        try
        {
            Driver.Check(Driver.LaunchAdder(function, target, 2, 0));
        }
        finally
        {
            MachineDriver.Instead = null;
        }

        Driver.Check(Driver.LaunchAdder(function, target, 100, 0));
        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 144 }));
        Assert.That(asked, Is.EqualTo(new[] { Driver.Adder }));
    }

    [Test]
    public void TellsWhatIsWrongWithAText()
    {
        byte[] log = [.. Enumerable.Repeat((byte)'x', 200)];
        int result;
        string text = Driver.Adder.Replace("add.s32", "sum.s32", StringComparison.Ordinal);
        fixed (byte* start = log)
            result = Driver.cuModuleLoadDataEx(out _, text, 2, [5, 6], [(nint)start, log.Length]);

        string message = Encoding.UTF8.GetString(log.AsSpan(0, log.IndexOf((byte)0)));
        Assert.That(result, Is.EqualTo(218));
        Assert.That(Marshal.PtrToStringUTF8(Driver.Name(result)), Is.EqualTo("CUDA_ERROR_INVALID_PTX"));
        Assert.That(message, Does.StartWith("line 14: "));
    }

    [Test]
    public void CutsAMessageToTheLog()
    {
        byte[] log = [1, 1, 1, 1, 1, 1];
        fixed (byte* start = log)
            _ = Driver.cuModuleLoadDataEx(out _, "not PTX", 2, [6, 5], [5, (nint)start]);

        Assert.That(log, Is.EqualTo("line\0\u0001"u8.ToArray()));
    }

    [Test]
    public void LargeSharedMemoryMustBeAskedFor()
    {
        nint function = Driver.Function(Driver.Adder, "Add");
        nint target = Driver.Upload(0);

        Assert.Multiple(() =>
        {
            Assert.That(Driver.LaunchAdder(function, target, 1, 0, sharedBytes: 48 << 10), Is.Zero);
            Assert.That(Driver.LaunchAdder(function, target, 1, 0, sharedBytes: (48 << 10) + 1), Is.EqualTo(1));
            Assert.That(Driver.cuFuncSetAttribute(function, 8, (227 << 10) + 1), Is.EqualTo(1));
            Assert.That(Driver.cuFuncSetAttribute(function, 8, 227 << 10), Is.Zero);
            Assert.That(Driver.LaunchAdder(function, target, 1, 0, sharedBytes: 227 << 10), Is.Zero);
        });
        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 2 }));
    }

    [Test]
    public void RefusesWhatNoDeviceLaunches()
    {
        nint function = Driver.Function(Driver.Adder.Replace(")\n{", ")\n.maxntid 64, 1, 1\n{", StringComparison.Ordinal), "Add");
        nint target = Driver.Upload(0);
        nint* none = stackalloc nint[] { 0 };

        Assert.That(Driver.LaunchAdder(function, target, 1, 0, groupThreads: 65), Is.EqualTo(1), "more threads than the kernel's bounds");
        Assert.That(Driver.LaunchAdder(function, target, 1, 0, groupThreads: 0), Is.EqualTo(1), "no threads");
        Assert.That(Driver.LaunchAdder(function + 8, target, 1, 0), Is.EqualTo(400), "no function");
        Assert.That(Driver.cuLaunchKernel(function, 0, 1, 1, 1, 1, 1, 0, 0, 0, none), Is.EqualTo(1), "no groups");
        Assert.That(Driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, 0, 0, none), Is.EqualTo(1), "no parameters");
        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 0 }));
    }

    [Test]
    public void AFunctionGoesWithItsModule()
    {
        Driver.Check(Driver.cuModuleLoadData(out nint module, Driver.Adder));
        Assert.That(Driver.cuModuleGetFunction(out _, module, "Subtract"), Is.EqualTo(500));
        Driver.Check(Driver.cuModuleGetFunction(out nint function, module, "Add"));
        Driver.Check(Driver.cuFuncGetAttribute(out int threads, 0, function));
        Assert.That(threads, Is.EqualTo(1024));

        Driver.Check(Driver.cuModuleUnload(module));

        Assert.That(Driver.cuFuncGetAttribute(out _, 0, function), Is.EqualTo(400));
        Assert.That(Driver.cuModuleUnload(module), Is.EqualTo(400));
    }
}
