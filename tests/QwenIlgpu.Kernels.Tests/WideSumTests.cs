using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every thread adds its x, as an integer, to one of three sums of 64 bits in shared memory. x: [256]; y: [4], the last untouched.</summary>
internal readonly struct WideSumKernel(ArrayView<float> x, ArrayView<long> y) : IGroupKernel
{
    public static void WideSums(WideSumKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<long> sums = SharedMemory.Allocate<long>(4);
        if (Group.IdxX < 4)
            sums[Group.IdxX] = 0;
        Group.Barrier();
        RankBuckets.Add(sums.Cast<int>(), Group.IdxX % 3, (long)x[Group.IdxX]);
        Group.Barrier();
        if (Group.IdxX < 4)
            y[Group.IdxX] = sums[Group.IdxX];
        Group.Barrier();
    }
}

[NonParallelizable]
internal sealed class WideSumTests
{
    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [Test]
    public void AddsWithCarry()
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Usual);
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, GroupScan.Threads).Select(_ => random.NextSingle() * (1L << 42))];
        ArrayView<long> y = device.Poisoned<long>(4);

        device.Run(WideSumKernel.WideSums, new KernelConfig(1, x.Length), new WideSumKernel(device.Upload(x), y));

        long[] expected = [.. Enumerable.Range(0, 4).Select(i => x.Where((_, t) => t % 3 == i).Sum(f => (long)f))];
        Assert.That(device.Download(y), Is.EqualTo(expected));
    }
}
