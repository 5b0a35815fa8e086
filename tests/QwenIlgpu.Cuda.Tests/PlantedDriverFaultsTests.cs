using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>
/// Faults of a host that only order, time and lifetime show, planted around a small graph whose kernels run: each is caught, and what is
/// right beside it passes under every seed.
/// </summary>
[NonParallelizable]
internal sealed class PlantedDriverFaultsTests
{
    private const int Rows = 2;
    private const int Columns = 64;
    private const int Seeds = 16;
    private const float Epsilon = 1e-6f;

    /// <summary>Adds one to an integer and takes all the shared memory that a launch asks for.</summary>
    private const string SharedTaker = """
        .version 8.0
        .target sm_80
        .address_size 64
        .extern .shared .align 16 .b8 room[];
        .visible .entry Take(
        	.param .b64 target
        )
        {
        	.reg .b32 %r<2>;
        	.reg .b64 %rd<2>;
        	ld.param.b64 %rd1, [target];
        	mov.u32 %r1, 7;
        	st.global.b32 [%rd1], %r1;
        	ret;
        }
        """;

    [TestCase(true)]
    [TestCase(false)]
    public void AnEventIsMissingBetweenCopyAndComputeStream(bool isMissing) => AssertCaught(isMissing, toy =>
    {
        using var uploaded = new DeviceEvent(toy.Device);
        toy.Source.Upload(toy.X, toy.Device.CopyStream);
        uploaded.Record(toy.Device.CopyStream);
        if (!isMissing)
            uploaded.Delay(toy.Device.Stream);
        toy.Norm.Run(toy.Device.Stream);
        return toy.Download();
    });

    [TestCase(true)]
    [TestCase(false)]
    public void ALaunchIsOnTheNullStream(bool isOnNull) => AssertCaught(isOnNull, toy =>
    {
        toy.Source.Upload(toy.X, toy.Device.Stream);
        toy.Norm.Run(isOnNull ? toy.Device.Accelerator.DefaultStream : toy.Device.Stream);
        return toy.Download();
    });

    [TestCase(true)]
    [TestCase(false)]
    public void APageLockedBufferIsOverwrittenTooEarly(bool isEarly)
    {
        AssertCaught(isEarly, toy =>
        {
            using var uploaded = new DeviceEvent(toy.Device);
            toy.Source.Upload(toy.X, toy.Device.Stream);
            uploaded.Record(toy.Device.Stream);
            if (!isEarly)
                uploaded.Wait();
            toy.Source.Span.Fill(1);
            toy.Norm.Run(toy.Device.Stream);
            return toy.Download();
        });
        Assert.That(StandIn.Calls.Any(c => c.Call == "source overwritten before it was copied"), Is.EqualTo(isEarly));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void ALaunchUsesFreedMemory(bool isFreed)
    {
        using IDisposable _ = WithKernels(0);
        using var toy = new Toy();
        toy.Source.Upload(toy.X, toy.Device.Stream);
        toy.Device.Synchronize();
        if (isFreed)
            toy.Memory.Dispose();

        toy.Norm.Run(toy.Device.Stream);

        AssertFreedFaults(isFreed, toy);
    }

    [TestCase(true)]
    [TestCase(false)]
    public void AGraphHasCapturedAPointerThatIsFreed(bool isFreed)
    {
        using IDisposable _ = WithKernels(0);
        using var toy = new Toy();
        DeviceMemory arena = toy.Own(new DeviceMemory(toy.Device));
        var graph = new OpGraph("planted");
        Tensor y = graph.NewTensor("y", Rows, Columns);
        graph.Add("norm", [], [y], 0, () => [toy.Bind(y.View)]);
        graph.Plan();
        graph.Bind(arena.Allocate<byte>(graph.ArenaBytes));
        toy.Source.Upload(toy.X, toy.Device.Stream);
        CudaGraphRunner runner = toy.Own(new CudaGraphRunner(graph, toy.Device));
        runner.Run();
        runner.Run();
        toy.Device.Synchronize();
        Assert.That(runner.IsCaptured);
        if (isFreed)
            toy.Memory.Dispose();

        runner.Run();

        AssertFreedFaults(isFreed, toy);
    }

    [TestCase("sm_90", 64, true, null)]
    [TestCase("sm_90", 64, false, "cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE")]
    [TestCase("sm_90", 228, true, "cuFuncSetAttribute(MaxDynamicSharedSizeBytes = 233472) failed: CUDA_ERROR_INVALID_VALUE")]
    [TestCase("sm_86", 99, true, null)]
    [TestCase("sm_86", 100, true, "cuFuncSetAttribute(MaxDynamicSharedSizeBytes = 102400) failed: CUDA_ERROR_INVALID_VALUE")]
    public unsafe void SharedMemoryIsOptedInWrongly(string architecture, int kib, bool optsIn, string? told)
    {
        using IDisposable _ = StandIn.With(
            o => o with { RunsKernels = true, Architecture = GpuArchitecture.All.Single(a => a.Name == architecture) });
        using ComputeDevice device = ComputeDevice.OpenCuda(0, kernelCacheDirectory: null);
        using var memory = new DeviceMemory(device);
        ArrayView<int> target = memory.AllocateZeroed<int>(1);
        var driver = KernelDriver.Load();
        nint module = driver.LoadModule("Take", SharedTaker);
        nint function = driver.Function("Take", module, "Take");

        void Launch()
        {
            if (optsIn)
                driver.SetAttribute("Take", function, FunctionAttribute.MaxDynamicSharedSizeBytes, kib << 10);
            nint address = target.LoadEffectiveAddressAsPtr();
            int code = driver.Launch(
                function, new LaunchShape(1, 1, 1, 1, 1, 1, (uint)kib << 10), (byte*)&address, sizeof(nint), false, ((CudaStream)device.Stream).StreamPtr);
            driver.Check("Take", "cuLaunchKernel", code);
        }

        Assert.That(Launch, told is null ? Throws.Nothing : Throws.TypeOf<DriverCallException>().With.Message.EndsWith($"Take: {told} (1)"));
        var result = new int[1];
        target.CopyToCPU(device.Stream, result);
        driver.UnloadModule(module);
        Assert.That(result[0], Is.EqualTo(told is null ? 7 : 0));
    }

    private static IDisposable WithKernels(int seed) =>
        StandIn.With(o => o with { RunsKernels = true, Order = WorkOrder.Drawn, Seed = seed });

    // Under every seed the answer is right, or wrong or refused for some of them.
    private static void AssertCaught(bool isPlanted, Func<Toy, float[]> run)
    {
        StandIn.Clear();
        int caught = 0;
        for (int seed = 0; seed < Seeds; seed++)
        {
            using IDisposable _ = WithKernels(seed);
            using var toy = new Toy();
            toy.Device.Synchronize();
            float[]? result = null;
            try
            {
                result = run(toy);
            }
            catch (Exception) when (isPlanted && MachineDriver.LastFault is { Faults: [{ Kind: FaultKind.UnwrittenMemory }, ..] })
            {
            }

            // The machine's kernels agree with the reference to a rounding or two.
            bool isRight = result is not null && result.Zip(toy.Expected).All(r => Math.Abs(r.First - r.Second) <= 1e-5f);
            caught += isRight ? 0 : 1;
        }

        Assert.That(caught, isPlanted ? Is.InRange(1, Seeds) : Is.Zero, $"of {Seeds} seeds");
    }

    private static void AssertFreedFaults(bool isFreed, Toy toy)
    {
        Assert.That(toy.Device.Synchronize, isFreed ? Throws.Exception.With.Message.Contains("illegal memory access") : Throws.Nothing);
        if (isFreed)
            Assert.That(MachineDriver.LastFault!.Message, Does.StartWith("FreedMemory in Kernel_RmsNorm").And.Contains("that was freed"));
    }

    /// <summary>A device with a norm of two rows whose input lies in page-locked memory.</summary>
    private sealed class Toy : IDisposable
    {
        private readonly Stack<IDisposable> owned = [];
        private readonly ArrayView<float> y;
        private readonly Matrix<float> x;
        private readonly ArrayView<float> weight;

        public Toy()
        {
            Device = Own(ComputeDevice.OpenCuda(0, kernelCacheDirectory: null));
            Memory = Own(new DeviceMemory(Device));
            x = new Matrix<float>(Memory.Allocate<float>(Rows * Columns), Rows, Columns);
            weight = Memory.AllocateZeroed<float>(Columns);
            y = Memory.Allocate<float>(Rows * Columns);
            Source = Memory.AllocateHost<float>(Rows * Columns);
            for (int i = 0; i < Source.Length; i++)
                Source.Span[i] = (i % 7) - 2.5f;
            Expected = [.. Enumerable.Range(0, Rows).SelectMany(r => Normalised(Source.Span.Slice(r * Columns, Columns).ToArray()))];
            Norm = Bind(new Matrix<float>(y, Rows, Columns));
        }

        public ComputeDevice Device { get; }

        public DeviceMemory Memory { get; }

        public HostBuffer<float> Source { get; }

        public ArrayView<float> X => x.Data;

        public Launch Norm { get; }

        public float[] Expected { get; }

        public Launch Bind(Matrix<float> target) => RmsNorm.Bind(Device.Loader, x, weight, target, Epsilon);

        public float[] Download()
        {
            var values = new float[y.Length];
            y.CopyToCPU(Device.Stream, values);
            Device.Synchronize();
            return values;
        }

        /// <summary>Something that goes before what it was made from.</summary>
        public T Own<T>(T value)
            where T : IDisposable
        {
            owned.Push(value);
            return value;
        }

        // After a fault the driver gives nothing back but the whole context.
        public void Dispose()
        {
            while (owned.TryPop(out IDisposable? value))
            {
                try
                {
                    value.Dispose();
                }
                catch (Exception e) when (e is InvalidOperationException or CudaException)
                {
                }
            }
        }

        // The weights, which are zero, are what is added to one.
        private static IEnumerable<float> Normalised(float[] row)
        {
            float scale = 1 / MathF.Sqrt((row.Sum(v => v * v) / row.Length) + Epsilon);
            return row.Select(v => v * scale);
        }
    }
}
