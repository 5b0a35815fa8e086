using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Shuffles and reductions of two warps against indices.</summary>
[TestFixtureSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
[NonParallelizable]
internal sealed class WarpInstructionTests(string deviceName)
{
    private const int Threads = 64;

    private float[] x = [];
    private uint[] results = [];

    [OneTimeSetUp]
    public void Run()
    {
        TestDevice device = WarpDevice.Named(deviceName);
        var random = new Random(5);
        x = [.. Enumerable.Range(0, Threads).Select(_ => (random.NextSingle() - 0.5f) * 100)];
        var kernel = new WarpKernel(
            device.Upload(Array.ConvertAll(x, BitConverter.SingleToUInt32Bits)), device.Poisoned<uint>(WarpKernel.Ops * Threads));
        device.Run(WarpKernel.Warps, new KernelConfig(1, Threads), kernel);
        results = device.Download(kernel.Results);
        device.Release();
    }

    [TestCase(WarpKernel.XorFloat)]
    [TestCase(WarpKernel.XorInt)]
    public void SwapsLanes(int op) => Each(op, t => x[t ^ WarpKernel.Distance]);

    [TestCase(WarpKernel.FromFloat)]
    [TestCase(WarpKernel.FromInt)]
    public void ReadsAnyLane(int op) => Each(op, t => x[(t & ~31) + (((3 * t) + 40) % 32)]);

    [Test]
    public void SumsFloatsInPairs() => Each(WarpKernel.SumFloat, t => PairSum(t & ~31, 32));

    [Test]
    public void SumsFoursInPairs() => Each(WarpKernel.SumOfFour, t => PairSum(t & ~3, 4));

    [Test]
    public void SumsInts() => Each(
        WarpKernel.SumInt,
        t => BitConverter.Int32BitsToSingle(Warp(t).Aggregate(0, (sum, v) => unchecked(sum + BitConverter.SingleToInt32Bits(v)))));

    [Test]
    public void FindsTheLargest() => Each(WarpKernel.MaxFloat, t => Warp(t).Max());

    private float[] Warp(int thread) => x.AsSpan(thread & ~31, 32).ToArray();

    // The two halves of the span added element by element, until one element is left.
    private float PairSum(int first, int count)
    {
        float[] values = x.AsSpan(first, count).ToArray();
        for (; values.Length > 1; values = [.. values.Take(values.Length / 2).Zip(values.Skip(values.Length / 2), (p, q) => p + q)])
        {
        }

        return values[0];
    }

    private void Each(int op, Func<int, float> expected) => Assert.That(
        results.AsSpan(op * Threads, Threads).ToArray(),
        Is.EqualTo(Enumerable.Range(0, Threads).Select(t => BitConverter.SingleToUInt32Bits(expected(t)))));
}
