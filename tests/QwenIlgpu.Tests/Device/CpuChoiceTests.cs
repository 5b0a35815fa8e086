namespace QwenIlgpu.Tests;

/// <summary>When the CPU stands in for a GPU, and what is said of it.</summary>
internal sealed class CpuChoiceTests
{
    private const string Refusal = "the driver is not installed";

    [TestCase(14_000_000, 1_014_000_000, true)]
    [TestCase(14_000_000, 1_013_999_999, false)]
    [TestCase(2_500_000_000, 3_500_000_000, true)]
    [TestCase(20_000_000_000, 22_000_000_000, true)]
    [TestCase(20_000_000_000, 21_999_999_999, false)]
    public void WeightsNeedATenthOfRoomAndAGigabyteAtLeast(long weights, long available, bool fits)
    {
        Assert.That(CpuChoice.Fits(weights, available), Is.EqualTo(fits));
        Assert.That(weights <= CpuChoice.LargestModelBytes(available), Is.EqualTo(fits));
    }

    [Test]
    public void AModelThatDoesNotFitIsRefusedWithBothSizesAndWhatToDo()
    {
        var model = new ModelFootprint(54_000_000_000, 51_500_000_000);

        Assert.That(
            () => CpuChoice.Require(Refusal, model, 25_000_000_000),
            Throws.TypeOf<NotSupportedException>().With.Message.EqualTo(
                "no CUDA device: the driver is not installed; the CPU has 25.00 GB of memory available, the model takes 54.00 GB and 5.40 GB of "
                + "room: take a smaller model or INT4 weights, free memory, or try --device cpu all the same"));
        Assert.That(() => CpuChoice.Require(Refusal, model, 60_000_000_000), Throws.Nothing);
    }

    [TestCase(560_000_000, 8, "with 8 threads: expect up to about 55 tokens/s (0.56 GB a token at 31 GB/s)")]
    [TestCase(14_400_000_000, 1, "with 1 thread: expect up to about 2.2 tokens/s (14.40 GB a token at 31 GB/s)")]
    public void NoticeSaysThreadsAndSpeed(long bytesPerToken, int threads, string end) => Assert.That(
        CpuChoice.Notice(Refusal, new ModelFootprint(bytesPerToken, bytesPerToken), threads, () => 31e9),
        Is.EqualTo($"no CUDA device (the driver is not installed); running on the CPU {end}"));

    [Test]
    public void OfWeightsInCachesTheBandwidthSaysNothing() => Assert.That(
        CpuChoice.Notice(Refusal, new ModelFootprint(14_000_000, 14_000_000), 2, () => throw new InvalidOperationException("measured")),
        Is.EqualTo("no CUDA device (the driver is not installed); running on the CPU with 2 threads"));

    [TestCase(1)]
    [TestCase(3)]
    public void TheCpuHasAsManyThreadsAsAsked(int threads)
    {
        using ComputeDevice device = ComputeDevice.Open(
            DeviceSelection.Cpu, _ => throw new InvalidOperationException("measured"), _ => Assert.Fail("a notice"), cpuThreads: threads);

        Assert.That(device.Loader.Cpu.Count, Is.EqualTo(threads));
    }

    [Test]
    public void ByDefaultThereIsAThreadForEachCore()
    {
        using ComputeDevice device = ComputeDevice.OpenCpu();

        Assert.That(device.Loader.Cpu.Count, Is.EqualTo(CpuTopology.PhysicalCores()));
    }

    [TestCase(-1)]
    [TestCase(257)]
    public void OptionsRefuseOtherNumbersOfThreads(int threads) => Assert.That(
        () => new ModelOptions { CpuThreads = threads },
        Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("CpuThreads must be from 0 to 256").And.Message.Contains($"{threads}"));

    // Published sizes: 24 layers of INT4 with scales, and a head of 248,320 · 1,024 bytes with scales that is the embedding too.
    [Test]
    public void ATokenReadsAllLayersAndTheHead()
    {
        using ComputeDevice device = ComputeDevice.OpenCpu();

        ModelFootprint tied = SyntheticModel.Measure(SyntheticShape.Of("0.8b"), device, HeadQuantization.Int8);
        ModelFootprint untied = SyntheticModel.Measure(SyntheticShape.Of("9b"), device, HeadQuantization.None);

        Assert.That(tied.WeightBytes - tied.BytesPerToken, Is.InRange(0, 3_000_000), "rotary tables and vectors");
        Assert.That(untied.WeightBytes - untied.BytesPerToken, Is.EqualTo(248_320L * 4096 * 2).Within(5_000_000), "the embedding table besides");
        Assert.That(tied.BytesPerToken, Is.EqualTo(517_000_000).Within(2_000_000));
    }
}
