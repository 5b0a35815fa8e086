namespace QwenIlgpu.Tests;

/// <summary>Cores and memory as the files of a Linux system tell them.</summary>
internal sealed class CpuTopologyTests
{
    private string root = "";

    [SetUp]
    public void CreateRoot() => root = Directory.CreateTempSubdirectory("qwen-cpu-").FullName;

    [TearDown]
    public void DeleteRoot() => Directory.Delete(root, recursive: true);

    // Eight CPUs, two of each core: 0 and 4, 1 and 5, …
    [TestCase("0-7", 8, 4)]
    [TestCase("0-7", 3, 3, Description = "a quota of three CPUs")]
    [TestCase("0,4", 8, 1)]
    [TestCase("0-1,4-5", 8, 2)]
    [TestCase("0-255", 8, 4, Description = "more may be used than are there")]
    [TestCase("2", 8, 1)]
    [TestCase("64-71", 8, 8, Description = "none of them is there: the files say nothing")]
    [TestCase("?", 8, 8)]
    public void CountsCoresOfTheCpusThatMayBeUsed(string allowed, int processors, int cores)
    {
        for (int cpu = 0; cpu < 8; cpu++)
        {
            string topology = Directory.CreateDirectory(Path.Combine(root, $"cpu{cpu}", "topology")).FullName;
            File.WriteAllText(Path.Combine(topology, "thread_siblings_list"), $"{cpu % 4},{(cpu % 4) + 4}\n");
        }

        Assert.That(CpuTopology.PhysicalCores(root, Status(allowed), processors), Is.EqualTo(cores));
    }

    [Test]
    public void WithoutFilesProcessorsCount() =>
        Assert.That(CpuTopology.PhysicalCores(root, Path.Combine(root, "none"), processors: 6), Is.EqualTo(6));

    [Test]
    public void ThisMachineHasACore() => Assert.That(CpuTopology.PhysicalCores(), Is.InRange(1, Environment.ProcessorCount));

    [TestCase("MemTotal:       16000000 kB\nMemFree:  1000 kB\nMemAvailable:    8000000 kB\n", 8_192_000_000)]
    [TestCase("MemAvailable:    80000000 kB\n", 10_000_000_000)]
    [TestCase("MemFree:  1000 kB\n", 10_000_000_000)]
    [TestCase("MemAvailable:  much kB\n", 10_000_000_000)]
    public void MemoryIsWhatTheSystemHasAndTheProcessMay(string text, long bytes)
    {
        string file = Path.Combine(root, "meminfo");
        File.WriteAllText(file, text);

        Assert.That(AvailableMemory.Bytes(file, 10_000_000_000), Is.EqualTo(bytes));
        Assert.That(AvailableMemory.Bytes(file + ".none", 10_000_000_000), Is.EqualTo(10_000_000_000));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void StreamReadReadsEveryBlock(int threads) =>
        Assert.That(StreamRead.MeasureBytesPerSecond(threads, 1 << 20), Is.InRange(1e6, 1e14));

    [TestCase(24_000_000_000, 512 << 20)]
    [TestCase(1_000_000_000, 249_999_360)]
    [TestCase(0, 16 << 20)]
    public void StreamReadTakesAQuarterOfMemoryAtMost(long available, long bytes) =>
        Assert.That(StreamRead.BytesFor(available), Is.EqualTo(bytes));

    private string Status(string allowed)
    {
        string file = Path.Combine(root, "status");
        File.WriteAllText(file, $"Name:\tqwen\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n");
        return file;
    }
}
