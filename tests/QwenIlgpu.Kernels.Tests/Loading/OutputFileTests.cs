namespace QwenIlgpu.Kernels.Tests;

internal sealed class OutputFileTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void AppearsWhenItIsComplete()
    {
        string path = directory.File("file");
        File.WriteAllText(path, "old");
        using (OutputFile file = OutputFile.Create(path))
        {
            file.Write("new"u8);
            Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
            file.Complete();
        }

        Assert.That(File.ReadAllText(path), Is.EqualTo("new"));
        Assert.That(Directory.GetFileSystemEntries(directory.Path), Is.EqualTo(new[] { path }));
    }

    [Test]
    public void LeavesNothingBehindWhenAbandoned()
    {
        using (OutputFile file = OutputFile.Create(directory.File("file")))
            file.Write("new"u8);

        Assert.That(Directory.GetFileSystemEntries(directory.Path), Is.Empty);
    }

    [Test]
    public void ReplacesNothingThatHasBecomeAnotherKind()
    {
        string path = directory.File("file");
        using (OutputFile file = OutputFile.Create(path))
        {
            Directory.CreateDirectory(path);
            IOException error = Assert.Throws<IOException>(() => file.Complete())!;
            Assert.That(error.Message, Does.StartWith($"{path} cannot be written: "));
        }

        Assert.That(Directory.GetFileSystemEntries(directory.Path), Is.EqualTo(new[] { path }));
        Assert.That(Directory.Exists(path), Is.True);
    }

    [TestCase("a", "d/a")]
    [TestCase("./b//x", "d/b/x")]
    [TestCase("b/../a", "d/a")]
    [TestCase("to-e/x", "e/x")]
    [TestCase("to-e/../x", "x")]
    [TestCase("to-to-e/./x", "e/x")]
    [TestCase("../../../../../../../../../../..", "/")]
    [Platform("Linux,MacOsX")]
    public void FollowsLinksAsTheSystemDoes(string path, string target)
    {
        foreach (string folder in (string[])["d", "d/b", "e"])
            Directory.CreateDirectory(directory.File(folder));
        File.CreateSymbolicLink(directory.File("d/to-e"), "../e");
        File.CreateSymbolicLink(directory.File("d/to-to-e"), directory.File("d/to-e"));

        string root = OutputFile.TargetOf(directory.Path)!;
        Assert.That(OutputFile.TargetOf($"{directory.Path}/d/{path}"), Is.EqualTo(Path.Combine(root, target)));
    }

    [Test]
    [Platform("Linux")]
    public void TellsKindsApart()
    {
        File.WriteAllText(directory.File("file"), "");
        File.CreateSymbolicLink(directory.File("link"), "file");
        File.CreateSymbolicLink(directory.File("astray"), "nothing");
        File.CreateSymbolicLink(directory.File("loop"), "loop");

        Assert.That(FileKinds.Of(directory.File("file")), Is.EqualTo(FileKind.Regular));
        Assert.That(FileKinds.Of(directory.File("link")), Is.EqualTo(FileKind.Regular));
        Assert.That(FileKinds.Of(directory.File("astray")), Is.EqualTo(FileKind.Missing));
        Assert.That(FileKinds.Of(directory.Path), Is.EqualTo(FileKind.Directory));
        Assert.That(FileKinds.Of("/dev/null"), Is.EqualTo(FileKind.CharacterDevice));
        Assert.Throws<IOException>(() => FileKinds.Of(directory.File("loop")));
        Assert.Throws<IOException>(() => FileKinds.Of(directory.File("file/x")));
        Assert.Throws<ArgumentException>(() => FileKinds.Of(""));
    }
}
