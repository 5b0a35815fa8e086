namespace QwenIlgpu.Kernels.Tests;

/// <summary>What every kernel fixture has: the device, seeded inputs and comparison with a reference.</summary>
[NonParallelizable]
internal abstract class KernelTests
{
    protected static TestDevice Device => TestDevice.Shared;

    [TearDown]
    public void ReleaseBuffers() => Device.Release();

    /// <summary>Uniform in [−scale, scale); the seed should differ per shape.</summary>
    public static float[] RandomFloats(int seed, long length, float scale = 1)
    {
        var random = new Random(seed);
        var values = new float[length];
        for (int i = 0; i < values.Length; i++)
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        return values;
    }

    public static double[] ToDouble(float[] values) => Array.ConvertAll(values, v => (double)v);

    /// <summary>|actual − expected| ≤ tolerance for every element; NaN (an element nobody wrote) never passes.</summary>
    public static void AssertClose(float[] actual, double[] expected, double tolerance)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double worst = 0;
        int where = -1;
        for (int i = 0; i < actual.Length; i++)
        {
            double difference = Math.Abs(actual[i] - expected[i]);
            if (!(difference <= worst))
                (worst, where) = (double.IsNaN(difference) ? double.PositiveInfinity : difference, i);
        }

        Assert.That(worst, Is.LessThanOrEqualTo(tolerance), () => $"element {where}: {actual[where]} instead of {expected[where]}");
    }
}

/// <summary>
/// A fixture of an op that has shares: every test runs once with the plain loops, which define the op for every accelerator, and once with
/// the shares of CPU threads.
/// </summary>
[TestFixture(Shares.Off)]
[TestFixture(Shares.On)]
internal abstract class ShareTests(Shares shares) : KernelTests
{
    [SetUp]
    public void ChooseShares()
    {
        if (shares == Shares.On && TestDevice.Kind != "cpu")
            Assert.Ignore("shares are for the CPU");
        Assume.That(shares == Shares.Off || CpuVectors.AreSupported, "shares need AVX2 and FMA");
        Device.UsesShares = shares == Shares.On;
    }

    [TearDown]
    public void ChooseNone() => Device.UsesShares = false;

    /// <summary>What launches leave, bit for bit the same whether one thread does them, two or three, each its part in turn.</summary>
    public static T[] RunInParts<T>(Func<Launch[]> bind, Func<T[]> result)
    {
        Assume.That(TestDevice.Kind, Is.EqualTo("cpu"), "parts are of CPU threads");
        T[] alone = [];
        for (int threads = 1; threads <= 3; threads++)
        {
            foreach (Launch launch in bind())
            {
                for (int thread = 0; thread < threads; thread++)
                    launch.CpuPart!(thread, threads);
            }

            T[] left = result();
            if (threads == 1)
                alone = left;
            Assert.That(left, Is.EqualTo(alone), $"{threads} threads");
        }

        return alone;
    }
}

/// <summary>Whether kernels run as shares of CPU threads.</summary>
internal enum Shares
{
    Off,
    On,
}

/// <summary>Gives the shared devices back after the last test.</summary>
[SetUpFixture]
internal sealed class SharedDeviceTeardown
{
    [OneTimeTearDown]
    public void Dispose()
    {
        TestDevice.DisposeShared();
        WarpDevice.DisposeShared();
        PoclDevice.DisposeShared();
        MachineDevice.DisposeShared();
    }
}
