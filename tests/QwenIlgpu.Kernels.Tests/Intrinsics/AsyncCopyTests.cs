using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[NonParallelizable]
internal sealed class AsyncCopyTests
{
    private const uint Poison = 0xffffffff;

    private static readonly uint[] Source = [.. Enumerable.Range(100, AsyncCopyKernel.Results * 32 * 4).Select(v => (uint)v)];

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
    public void DeliversBehindTheWait(string deviceName)
    {
        TestDevice device = WarpDevice.Named(deviceName);
        ArrayView<UInt4> y = device.Poisoned<UInt4>(AsyncCopyKernel.Results * 32);

        device.Run(
            AsyncCopyKernel.Copies, new KernelConfig(1, 32),
            new AsyncCopyKernel(device.Upload(Words(Source)), y));

        uint[] copied = Words(device.Download(y));
        for (int i = 0; i < copied.Length; i++)
        {
            int result = i / 128;
            bool absent = result == 4 && i / 4 % 2 == 1;
            uint expected = absent ? 0 : Source[i];
            Assert.That(copied[i], Is.EqualTo(expected), $"copy {result}, lane {i / 4 % 32}, word {i % 4}");
        }
    }

    // What a GPU gives here is anything: only the CPU accelerator tells early reads from late ones.
    [Test]
    public void PoisonsUntilTheMatchingWait()
    {
        TestDevice device = WarpDevice.Shared;
        ArrayView<UInt4> y = device.Upload(new UInt4[128]);

        device.Run(EarlyReadKernel.EarlyReads, new KernelConfig(1, 32), new EarlyReadKernel(device.Upload(Words(Source)), y));

        uint[] read = Words(device.Download(y));
        Assert.That(read[..128], Has.All.EqualTo(Poison), "before any wait");
        Assert.That(read[128..256], Is.EqualTo(Source[..128]), "the first group behind a wait that leaves one");
        Assert.That(read[256..384], Has.All.EqualTo(Poison), "the second group behind a wait that leaves one");
        Assert.That(read[384..], Has.All.EqualTo(Poison), "an uncommitted copy behind a wait that leaves none");
    }

    // A copy left over would be delivered into memory that is gone.
    [Test]
    public void DropsCopiesWithTheirGroup()
    {
        TestDevice device = WarpDevice.Shared;
        ArrayView<UInt4> y = device.Upload(new UInt4[96]);
        var kernel = new LeftoverKernel(device.Upload(Words(Source)), y);

        for (int run = 0; run < 3; run++)
            device.Run(LeftoverKernel.Leftovers, new KernelConfig(3, 32), kernel);

        Assert.That(Words(device.Download(y)), Is.EqualTo(Source[..384]));
    }

    private static UInt4[] Words(uint[] words) => MemoryMarshal.Cast<uint, UInt4>(words).ToArray();

    private static uint[] Words(UInt4[] words) => MemoryMarshal.Cast<UInt4, uint>(words).ToArray();
}
