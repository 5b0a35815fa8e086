using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>ILGPU's CUDA accelerator and our loader on the PTX machine.</summary>
[NonParallelizable]
internal sealed class MachineDeviceTests
{
    private static TestDevice Device => MachineDevice.Shared;

    [SetUp]
    public void ChooseDevice() => Assume.That(TestDevice.Kind, Is.Not.EqualTo("cuda"), "a GPU is asked for");

    [TearDown]
    public void Release() => WarpDevice.ReleaseBuffers();

    [Test]
    public void LooksLikeAGpu() => Assert.Multiple(() =>
    {
        var accelerator = (CudaAccelerator)Device.Accelerator;
        Assert.That(accelerator.Architecture, Is.EqualTo(new CudaArchitecture(9, 0)));
        Assert.That(accelerator.InstructionSet, Is.EqualTo(CudaInstructionSet.ISA_87));
        Assert.That(accelerator.WarpSize, Is.EqualTo(32));
        Assert.That(accelerator.NumMultiprocessors, Is.EqualTo(132));
        Assert.That(accelerator.MaxNumThreadsPerGroup, Is.EqualTo(1024));
    });

    [Test]
    public void HasEveryFunctionThatIlgpuImports()
    {
        _ = Device;
        nint driver = NativeLibrary.Load(DriverLibraries.CudaFile);
        const BindingFlags Any = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        string[] imports =
        [
            .. typeof(CudaAccelerator).Assembly.GetTypes()
                .SelectMany(t => t.GetMethods(Any))
                .Select(m => m.GetCustomAttribute<DllImportAttribute>())
                .Where(i => i?.Value == DriverLibraries.Cuda)
                .Select(i => i!.EntryPoint!),
        ];

        Assert.That(imports, Has.Length.GreaterThan(40));
        Assert.That(imports.Where(i => !NativeLibrary.TryGetExport(driver, i, out _)), Is.Empty);
    }

    [Test]
    public void KeepsWhatIsCopiedAndFilled()
    {
        int[] values = [.. Enumerable.Range(0, 1000)];
        ArrayView<int> copied = Device.Upload(values);
        ArrayView<int> filled = Device.Upload(values);

        filled.SubView(10, 20).MemSet(Device.Stream, 1);
        copied.SubView(0, 5).CopyTo(Device.Stream, filled.SubView(995, 5));

        int[] expected = [.. values[..10], .. Enumerable.Repeat(0x01010101, 20), .. values[30..995], 0, 1, 2, 3, 4];
        Assert.That(Device.Download(copied), Is.EqualTo(values));
        Assert.That(Device.Download(filled), Is.EqualTo(expected));
    }

    [Test]
    public void GivesMemoryThatIsFullOfOnes() => Assert.That(Device.Download(Device.Poisoned<float>(100)), Is.All.NaN);

    [Test]
    public void RunsAKernel()
    {
        int[] rows = [6, 0, 6, 2];
        float[] x = Seeded.Floats(1, 7 * 131);
        Matrix<float> y = Device.Poisoned<float>(rows.Length, 131);

        Device.Run(GatherRows.Bind(Device.Loader, Device.Upload(x, 7, 131), Device.Upload(rows), y));

        Assert.That(Device.Download(y), Is.EqualTo(rows.SelectMany(r => x.AsSpan(r * 131, 131).ToArray())));
    }

    [Test]
    public void ReportsWhatAKernelReadsThatNobodyWrote()
    {
        Matrix<float> y = Device.Poisoned<float>(2, 5);
        Launch launch = GatherRows.Bind(Device.Loader, Device.Poisoned<float>(7, 5), Device.Upload(0, 3), y);

        Assert.That(
            () => Device.Run(launch),
            Throws.TypeOf<AssertionException>().With.Message.Contains("UnwrittenMemory in Kernel_GatherRows"));
    }

    [Test]
    public void AddsOnTensorCoresWithOneRounding() => Assert.That(OneAndSixteenTinyProducts(), Is.All.EqualTo(1 + (1f / (1 << 20))));

    // Each product lies below what is kept beside the 1.
    [Test]
    [Property(MachineSchedule.Property, "cut")]
    public void RunsUnderTheScheduleOfTheTest() => Assert.That(OneAndSixteenTinyProducts(), Is.All.EqualTo(1));

    [Test]
    public void KnowsWhichKernelsHardwareMayRoundOtherwise()
    {
        OneAndSixteenTinyProducts();
        Device.Run(HalvingKernel.Halving, new KernelConfig(1, 1), new HalvingKernel(Device.Poisoned<int>(3), 32));

        Assert.That(MachineDevice.RoundsAsHardware(nameof(MmaKernel.Products)), Is.False, "it has mma");
        Assert.That(MachineDevice.RoundsAsHardware(nameof(HalvingKernel.Halving)), Is.True);
    }

    private static float[] OneAndSixteenTinyProducts()
    {
        UInt4[] a = [.. Enumerable.Repeat(new UInt4(0x00010001, 0x00010001, 0x00010001, 0x00010001), 32)];           // 2^-24
        UInt2[] b = [.. Enumerable.Repeat(new UInt2(0x3c003c00, 0x3c003c00), 32)];                                  // 1
        Float4[] c = [.. Enumerable.Repeat(new Float4(1, 1, 1, 1), 32)];
        var kernel = new MmaKernel(
            Device.Upload(a), Device.Upload(b), Device.Upload(c), Device.Poisoned<Float4>(32), Device.Poisoned<Float4>(32));
        Device.Run(MmaKernel.Products, new KernelConfig(1, 32), kernel);
        return [.. Device.Download(kernel.F16Results).SelectMany(r => new[] { r.X, r.Y, r.Z, r.W })];
    }
}
