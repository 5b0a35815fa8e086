namespace QwenIlgpu.Kernels.Tests;

/// <summary>Two runs held against each other.</summary>
internal sealed class OutputLogTests
{
    [Test]
    public void WhatDiffersIsInTheTable()
    {
        using var directory = new TemporaryDirectory();
        string file = directory.File("outputs");
        using (OutputLog machine = OutputLog.Open($"write:{file}")!)
            Fill(machine, 1f, 5);
        string same;
        string different;
        using (OutputLog gpu = OutputLog.Open($"compare:{file}")!)
        {
            Fill(gpu, 1f, 5);
            same = gpu.Comparison.ToString();
            Assert.That(gpu.Comparison.Wrong, Is.Zero);
        }

        using (OutputLog gpu = OutputLog.Open($"compare:{file}")!)
        {
            Fill(gpu, 1.5f, 6);
            different = gpu.Comparison.ToString();
            Assert.That(gpu.Comparison.Wrong, Is.EqualTo(1), "the sum may differ, the count may not");
        }

        Assert.That(same, Does.Contain("| Count | 1 | 1 | 0 |").And.Contain("| Round, Sum | 1 | 1 | 0 |").And.Contain("| **all** | 2 | 2 | 0 |"));
        Assert.That(different, Does.Contain("| Count | 1 | 0 | 1 |").And.Contain("| Round, Sum | 1 | 0 | 0 | 2.5E-001 | Sums #1 |"));
        Assert.That(File.ReadAllText(file + ".md"), Is.EqualTo(different));
    }

    [Test]
    public void AnOutputOfAnotherLengthIsWrong()
    {
        using var directory = new TemporaryDirectory();
        string file = directory.File("outputs");
        using (OutputLog machine = OutputLog.Open($"write:{file}")!)
            Leave(machine, [1f, 2f]);
        using OutputLog gpu = OutputLog.Open($"compare:{file}")!;
        Leave(gpu, [1f]);

        Assert.That(gpu.Comparison.Wrong, Is.EqualTo(1));

        static void Leave(OutputLog log, float[] values)
        {
            log.Launched("Sums", "Sum");
            log.Left("Sums", values, _ => false);
        }
    }

    [TestCase("read:x")]
    [TestCase("write:")]
    [TestCase("compare")]
    public void OtherParametersAreRefused(string parameter) =>
        Assert.That(() => OutputLog.Open(parameter), Throws.ArgumentException.With.Message.Contains($"'{parameter}'"));

    private static void Fill(OutputLog log, float sum, int count)
    {
        log.Left("Sums", new[] { 9f }, _ => false);             // read before anything was launched
        log.Launched("Sums", "Sum");
        log.Launched("Sums", "Round");
        log.Left("Sums", new[] { sum, -2, float.NaN }, kernel => kernel != "Sum");
        log.Launched("Counts", "Count");
        log.Left("Counts", new[] { 1, count }, kernel => kernel != "Sum");
    }
}
