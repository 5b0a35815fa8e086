namespace QwenIlgpu.Kernels.Tests;

/// <summary>What every kernel fixture has: the device and comparison with a reference.</summary>
[NonParallelizable]
internal abstract class KernelTests
{
    private static TestDevice? chosen;

    /// <summary>The device of the fixture that runs.</summary>
    protected static TestDevice Device => chosen ?? TestDevice.Shared;

    [TearDown]
    public void ReleaseBuffers() => Device.Release();

    /// <summary>Tests are serial: helpers without an instance find the device too.</summary>
    protected static void Choose(TestDevice? device) => chosen = device;

    /// <summary>|actual − expected| ≤ tolerance for every element; NaN (an element nobody wrote) never passes.</summary>
    public static void AssertClose(float[] actual, double[] expected, double tolerance)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        Difference worst = Difference.Of(actual, expected);
        Assert.That(worst.Worst, Is.LessThanOrEqualTo(tolerance), () => $"element {worst.Index}: {actual[worst.Index]} instead of {expected[worst.Index]}");
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
        OutputLog.Current?.Dispose();
    }
}
