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
        float[] x = KernelTests.RandomFloats(1, 7 * 131);
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
}
