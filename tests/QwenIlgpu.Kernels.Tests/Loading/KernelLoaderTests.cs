using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class KernelLoaderTests : KernelTests
{
    [Test]
    public void RunsAKernelOfGroups()
    {
        ArrayView<float> x = Device.Upload<float>(1, 2, 3, 4, 5);
        ArrayView<float> y = Device.Poisoned<float>(5);

        Device.Run(Device.Loader.Bind(ScaleGroupKernel.Scale, new KernelConfig(3, 2), new ScaleGroupKernel(x, y, 2)));

        Assert.That(Device.Download(y), Is.EqualTo(new float[] { 2, 4, 6, 8, 10 }));
    }

    [Test]
    public void AnEmptyGridLaunchesNothing()
    {
        ArrayView<float> y = Device.Poisoned<float>(1);

        Device.Run(Device.Loader.Bind(ScaleGroupKernel.Scale, new KernelConfig(0, 2), new ScaleGroupKernel(y, y, 2)));

        Assert.That(Device.Download(y), Is.All.NaN);
    }

    [Test]
    public void BindsFromSeveralThreads()
    {
        using var loader = new KernelLoader(Device.Accelerator);
        ArrayView<float> x = Device.Upload<float>(1, 2);

        Parallel.For(0, 8, _ => loader.Bind(ScaleGroupKernel.Scale, new KernelConfig(1, 2), new ScaleGroupKernel(x, x, 1)));

        string[] onCuda = Device.Accelerator.AcceleratorType == AcceleratorType.Cuda ? [nameof(ScaleGroupKernel)] : [];
        Assert.That(loader.Loaded.Select(k => k.Name), Is.EqualTo(onCuda), "only a CUDA device has attributes to tell");
    }
}
