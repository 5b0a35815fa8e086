using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Loading and launching against a driver of managed functions.</summary>
internal sealed class CudaFunctionTests : KernelTests
{
    private const nint Stream = 0x77;

    private static readonly KernelEntry Scale = new(typeof(ScaleGroupKernel).GetMethod(nameof(ScaleGroupKernel.Scale))!);
    private static readonly KernelEntry Hopper = new(typeof(HopperKernel).GetMethod(nameof(HopperKernel.Hopper))!);
    private static readonly KernelEntry RmsNorm = KernelCatalogue.Named("RmsNormKernel");

    [SetUp]
    public void ResetDriver() => StandInDriver.Reset();

    [Test]
    public void LoadsReadsAttributesAndUnloads()
    {
        string ptx = Ptx(Scale);
        using (CudaFunction function = CudaFunction.Load(StandInDriver.Create(), Scale, ptx))
        {
            Assert.That(function.Attributes, Is.EqualTo(new KernelAttributes(40, 0, 1024, 8, 1024)));
            Assert.That(function.Handle, Is.EqualTo(StandInDriver.Function));
        }

        Assert.That(
            StandInDriver.Calls, Is.EqualTo(new[] { $"load {ptx.Length} characters", "function Kernel_Scale of 1000", "unload 1000" }));
    }

    [Test]
    public void AFailedLoadTellsTheDriversLog()
    {
        StandInDriver.LoadResult = 218;
        StandInDriver.Log =
            "ptxas application ptx input, line 9; fatal   : Parsing error near ';'\n\nptxas fatal   : Ptx assembly aborted\n";

        Assert.That(
            () => CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale)),
            Throws.TypeOf<DriverCallException>().With.Message.EqualTo(
                "ScaleGroupKernel: cuModuleLoadDataEx failed: CUDA_ERROR_INVALID_PTX (218); the driver says:\n" +
                "ptxas application ptx input, line 9; fatal   : Parsing error near ';'\nptxas fatal   : Ptx assembly aborted"));
    }

    [Test]
    public void AnErrorWithoutNameOrLogIsItsNumber() => Assert.That(
        KernelDriver.FailureText("RmsNormKernel", "cuLaunchKernel", 999, null, [0, 65]),
        Is.EqualTo("RmsNormKernel: cuLaunchKernel failed: error 999"));

    [Test]
    public void LaunchesWithOperandsWhereTheKernelReadsThem()
    {
        ArrayView<float> x = Device.Upload<float>(1, 2, 3);
        ArrayView<float> y = Device.Upload<float>(4, 5, 6);
        using CudaFunction function = CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale));

        function.Bind(new LaunchShape(3, 2, 1, 64, 1, 1, 256), true, new ScaleGroupKernel(x, y.SubView(1, 2), 0.5f)).Run(Stream);

        ReadOnlySpan<byte> arguments = StandInDriver.Arguments.AsSpan(0, StandInDriver.ArgumentBytes);
        Assert.That(StandInDriver.Shape, Is.EqualTo(new LaunchShape(3, 2, 1, 64, 1, 1, 256)));
        Assert.That(StandInDriver.Stream, Is.EqualTo(Stream));
        Assert.That(arguments.Length, Is.EqualTo(40));
        Assert.That(MemoryMarshal.Cast<byte, long>(arguments[..32]).ToArray(), Is.EqualTo(
            new long[] { x.LoadEffectiveAddressAsPtr(), 3, y.LoadEffectiveAddressAsPtr() + 4, 2 }));
        Assert.That(MemoryMarshal.Read<float>(arguments[32..]), Is.EqualTo(0.5f));
        Assert.That(StandInDriver.LaunchAttributes, Is.Empty);
    }

    [TestCase(1, 1u)]
    [TestCase(128, 1u)]
    [TestCase(129, 2u)]
    [TestCase(int.MaxValue, 16777216u)]
    public void APortableLaunchHasAThreadForEachItem(int items, uint groups) =>
        Assert.That(LaunchShape.OfItems(items, 128), Is.EqualTo(new LaunchShape(groups, 1, 1, 128, 1, 1, 0)));

    [Test]
    public void APortableKernelGetsItsIndexRangeFirst()
    {
        var x = new Matrix<float>(Device.Upload<float>(1, 2, 3, 4, 5, 6), 2, 3);
        var kernel = new RmsNormKernel(x, x.Row(0), x, 1e-6f);
        using CudaFunction function = CudaFunction.Load(StandInDriver.Create(), RmsNorm, Ptx(RmsNorm));

        function.Bind(LaunchShape.OfItems(2, RmsNorm.GroupThreads), false, new Index1D(2), 2, kernel).Run(Stream);

        Assert.That(StandInDriver.ArgumentBytes, Is.EqualTo(96));
        Assert.That(MemoryMarshal.Cast<byte, int>(StandInDriver.Arguments.AsSpan(0, 8)).ToArray(), Is.EqualTo(new[] { 2, 2 }));
        Assert.That(MemoryMarshal.Read<long>(StandInDriver.Arguments.AsSpan(8)), Is.EqualTo((long)x.Data.LoadEffectiveAddressAsPtr()));
    }

    [Test]
    public void OverlapsOnlyAKernelThatWaitsForItsPredecessor()
    {
        ArrayView<int> y = Device.Upload(1);
        using CudaFunction hopper = CudaFunction.Load(StandInDriver.Create(), Hopper, Ptx(Hopper));

        hopper.Bind(new LaunchShape(4, 1, 1, 32, 1, 1, 16), true, new HopperKernel(y)).Run(Stream);

        Assert.That(StandInDriver.LaunchAttributes, Is.EqualTo(new[] { (6, 1) }));
        Assert.That(StandInDriver.Shape, Is.EqualTo(new LaunchShape(4, 1, 1, 32, 1, 1, 16)));
        Assert.That(StandInDriver.Stream, Is.EqualTo(Stream));

        hopper.Bind(new LaunchShape(4, 1, 1, 32, 1, 1, 16), false, new HopperKernel(y)).Run(Stream);

        Assert.That(StandInDriver.LaunchAttributes, Is.Empty);
    }

    [Test]
    public void AnOldDriverLaunchesWithoutAttributes()
    {
        using CudaFunction hopper = CudaFunction.Load(StandInDriver.Create(without: "cuLaunchKernelEx"), Hopper, Ptx(Hopper));

        hopper.Bind(new LaunchShape(1, 1, 1, 32, 1, 1, 0), true, new HopperKernel(Device.Upload(1))).Run(Stream);

        Assert.That((StandInDriver.LaunchCount, StandInDriver.LaunchAttributes.Count), Is.EqualTo((1, 0)));
    }

    [Test]
    public void AsksForDynamicSharedMemoryAbove48KiBOnce()
    {
        using CudaFunction function = CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale));
        foreach (uint bytes in new uint[] { 47 << 10, (47 << 10) + 16, 64 << 10, 50 << 10, 99 << 10 })
            function.Bind(new LaunchShape(1, 1, 1, 64, 1, 1, bytes), false, new ScaleGroupKernel(default, default, 1));

        Assert.That(
            StandInDriver.Calls.Where(c => c.StartsWith("set", StringComparison.Ordinal)),
            Is.EqualTo(new[] { 48144, 65536, 101376 }.Select(b => $"set MaxDynamicSharedSizeBytes = {b}")));
    }

    [Test]
    public void RejectsAGroupAboveItsBounds()
    {
        using CudaFunction function = CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale));

        Assert.That(
            () => function.Bind(new LaunchShape(1, 1, 1, 65, 1, 1, 0), false, new ScaleGroupKernel(default, default, 1)),
            Throws.ArgumentException.With.Message.Contains("65 threads").And.Message.Contains("64"));
    }

    [Test]
    public void AFailedLaunchNamesKernelAndShape()
    {
        StandInDriver.LaunchResult = 701;
        using CudaFunction function = CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale));
        CudaLaunch launch = function.Bind(new LaunchShape(1, 1, 1, 64, 1, 1, 0), false, new ScaleGroupKernel(default, default, 1));

        Assert.That(() => launch.Run(Stream), Throws.TypeOf<DriverCallException>().With.Message.EqualTo(
            "ScaleGroupKernel: launch with grid 1×1×1, group 64×1×1, 0 bytes of dynamic shared memory failed: error 701"));
    }

    [Test]
    public void ALaunchAllocatesNothing()
    {
        using CudaFunction scale = CudaFunction.Load(StandInDriver.Create(), Scale, Ptx(Scale));
        using CudaFunction hopper = CudaFunction.Load(StandInDriver.Create(), Hopper, Ptx(Hopper));
        CudaLaunch plain = scale.Bind(new LaunchShape(1, 1, 1, 64, 1, 1, 0), false, new ScaleGroupKernel(default, default, 1));
        CudaLaunch overlapping = hopper.Bind(new LaunchShape(1, 1, 1, 32, 1, 1, 0), true, new HopperKernel(default));
        RunBoth(plain, overlapping, 10);

        long before = GC.GetAllocatedBytesForCurrentThread();
        RunBoth(plain, overlapping, 1000);

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(StandInDriver.LaunchCount, Is.EqualTo(2020));
    }

    [Test]
    public void RejectsADriverThatLacksACall() => Assert.That(
        () => StandInDriver.Create(without: "cuLaunchKernel"),
        Throws.TypeOf<NotSupportedException>().With.Message.Contains("cuLaunchKernel"));

    private static void RunBoth(CudaLaunch first, CudaLaunch second, int times)
    {
        for (int i = 0; i < times; i++)
        {
            first.Run(Stream);
            second.Run(Stream);
        }
    }

    private static string Ptx(KernelEntry kernel) => PtxBuild.Shared.Text(kernel, PtxBuild.Architectures[^1]);
}
