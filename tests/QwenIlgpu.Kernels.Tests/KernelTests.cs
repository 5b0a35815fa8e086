namespace QwenIlgpu.Kernels.Tests;

/// <summary>What every kernel fixture has: the device, seeded inputs and comparison with a reference.</summary>
[NonParallelizable]
internal abstract class KernelTests
{
    private static TestDevice? chosen;

    /// <summary>The device of the fixture that runs.</summary>
    protected static TestDevice Device => chosen ?? TestDevice.Shared;

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

    /// <summary>Tests are serial: helpers without an instance find the device too.</summary>
    protected static void Choose(TestDevice? device) => chosen = device;

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

/// <summary>Gives the shared devices back after the last test.</summary>
[SetUpFixture]
internal sealed class SharedDeviceTeardown
{
    [OneTimeTearDown]
    public void Dispose()
    {
        TestDevice.DisposeShared();
        WarpDevice.DisposeShared();
        MachineDevice.DisposeShared();
    }
}
