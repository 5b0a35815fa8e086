namespace QwenIlgpu.Kernels.Tests;

internal sealed class PtxCacheTests
{
    private static readonly PtxKey Key = new("RmsNorm", "m1", "128", 1, "8.4", "SM_80", "1.5.3");

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    private string EntryFile => directory.File(Key.Hash + ".ptx");

    [Test]
    public void ReturnsWhatWasStored()
    {
        var cache = new PtxCache(Path.Combine(directory.Path, "not", "there", "yet"));
        cache.Store(Key, ".version 8.4\n.target sm_80\n// é\n");

        Assert.That(cache.Find(Key), Is.EqualTo(".version 8.4\n.target sm_80\n// é\n"));
    }

    [Test]
    public void ReplacesAnEntryAndLeavesNothingElse()
    {
        var cache = new PtxCache(directory.Path);
        cache.Store(Key, "old");
        cache.Store(Key, "text");

        Assert.That(cache.Find(Key), Is.EqualTo("text"));
        Assert.That(Directory.GetFiles(directory.Path), Is.EqualTo(new[] { EntryFile }));
    }

    [TestCase(0)]
    [TestCase(10)]
    [TestCase(74)]
    [TestCase(80)]
    public void IgnoresATruncatedEntry(int bytes)
    {
        var cache = new PtxCache(directory.Path);
        cache.Store(Key, "0123456789abcdef");
        File.WriteAllBytes(EntryFile, File.ReadAllBytes(EntryFile)[..bytes]);

        Assert.That(cache.Find(Key), Is.Null);
    }

    [Test]
    public void IgnoresADamagedEntry()
    {
        var cache = new PtxCache(directory.Path);
        cache.Store(Key, "0123456789abcdef");
        byte[] content = File.ReadAllBytes(EntryFile);
        for (int i = 0; i < content.Length; i++)
        {
            byte[] damaged = [.. content];
            damaged[i] ^= 1;
            File.WriteAllBytes(EntryFile, damaged);

            Assert.That(cache.Find(Key), Is.Null, $"byte {i}");
        }
    }

    [Test]
    public void WorksWithoutADirectory()
    {
        var cache = new PtxCache(null);
        cache.Store(Key, "text");

        Assert.That(cache.Find(Key), Is.Null);
    }

    [Test]
    public void WorksWhereNothingCanBeWritten()
    {
        File.WriteAllText(directory.File("file"), "");
        var cache = new PtxCache(directory.File("file/ptx"));
        cache.Store(Key, "text");

        Assert.That(cache.Find(Key), Is.Null);
    }

    // A device in an entry's place is neither read, which may never end, nor replaced.
    [Test]
    [Platform("Linux")]
    public void TakesADeviceForNoEntry()
    {
        File.CreateSymbolicLink(EntryFile, "/dev/zero");
        var cache = new PtxCache(directory.Path);
        cache.Store(Key, "text");

        Assert.That(cache.Find(Key), Is.Null);
        Assert.That(new FileInfo(EntryFile).LinkTarget, Is.EqualTo("/dev/zero"));
    }

    [Test]
    public void KeyChangesWithEachPart()
    {
        PtxKey[] keys =
        [
            Key,
            Key with { Method = "SwiGlu" },
            Key with { Modules = "m2" },
            Key with { Specialization = "256" },
            Key with { Rewrite = 2 },
            Key with { InstructionSet = "8.7" },
            Key with { Architecture = "SM_90" },
            Key with { Compiler = "1.5.4" },
        ];

        Assert.That(keys.Select(k => k.Hash), Is.Unique.And.All.Length.EqualTo(64));
    }

    [Test]
    public void WritersAndReadersNeverSeeHalfAnEntry()
    {
        string[] texts = [.. Enumerable.Range(0, 4).Select(i => new string((char)('a' + i), 200_000))];

        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            var cache = new PtxCache(directory.Path);
            cache.Store(Key, texts[i % texts.Length]);
            Assert.That(cache.Find(Key), Is.AnyOf(texts));
        });
    }
}
