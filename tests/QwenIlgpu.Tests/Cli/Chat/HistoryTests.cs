using System.Runtime.Versioning;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>The history's file: whose it is, what it keeps and what happens without it.</summary>
[Platform(Exclude = "Win")]
[UnsupportedOSPlatform("windows")]
internal sealed class HistoryTests
{
    private const UnixFileMode OfUser = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private TemporaryDirectory directory = null!;

    private string FilePath => Path.Combine(directory.Path, "state", "qwenilgpu", "chat-history");

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void TextsComeBackAsTheyWere()
    {
        string[] texts = ["one", "two\nlines", @"C:\new\\folder", "漢🦊\ttab", @"\"];
        foreach (string text in texts)
            Open().Add(text);

        Assert.That(Open().Entries, Is.EqualTo(texts));
    }

    [TestCase(" secret")]
    [TestCase("\tsecret")]
    [TestCase("")]
    [TestCase("again")]
    public void SomeTextsAreNotKept(string text)
    {
        Open().Add("again");
        Open().Add(text);

        Assert.That(Open().Entries, Is.EqualTo(new[] { "again" }));
        Assert.That(File.ReadAllText(FilePath), Is.EqualTo("again\n"));
    }

    [Test]
    public void ATextThatIsTooLongIsNotKept()
    {
        Open().Add(new string('x', History.MostCharacters + 1));

        Assert.That(File.Exists(FilePath), Is.False);
    }

    [Test]
    public void OnlyTheUserMayReadIt()
    {
        Open().Add("one");

        Assert.That(File.GetUnixFileMode(FilePath), Is.EqualTo(OfUser));
        Assert.That(File.GetUnixFileMode(Path.GetDirectoryName(FilePath)!), Is.EqualTo(OfUser | UnixFileMode.UserExecute));
    }

    [Test]
    public void AFileThatOthersMayReadBecomesTheUsers()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        File.WriteAllText(FilePath, "one\n");
        File.SetUnixFileMode(FilePath, OfUser | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

        Assert.That(Open().Entries, Is.EqualTo(new[] { "one" }));
        Assert.That(File.GetUnixFileMode(FilePath), Is.EqualTo(OfUser));
    }

    [Test]
    public void TheNewestLinesStay()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        File.WriteAllLines(FilePath, Enumerable.Range(0, History.MostEntries + 5).Select(i => $"line {i}"));

        History history = Open();

        Assert.That((history.Entries.Count, history.Entries[0]), Is.EqualTo((History.MostEntries, "line 5")));
        Assert.That(File.ReadAllLines(FilePath), Is.EqualTo(history.Entries));
        Assert.That(File.GetUnixFileMode(FilePath), Is.EqualTo(OfUser));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(FilePath)!), Has.Length.EqualTo(1));
    }

    [Test]
    public void ControlCharactersOfTheFileReachNoTerminal()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        File.WriteAllText(FilePath, "a\e[2Jb\n");

        Assert.That(Open().Entries, Is.EqualTo(new[] { "a[2Jb" }));
    }

    [Test]
    public void WithoutAFileItLastsAsLongAsTheChat()
    {
        string blocked = directory.File("file");
        File.WriteAllText(blocked, "");
        List<string> notices = [];
        History history = History.Open(Path.Combine(blocked, "qwenilgpu", "chat-history"), notices.Add);

        history.Add("one");
        history.Add("two");

        Assert.That(history.Entries, Is.EqualTo(new[] { "one", "two" }));
        Assert.That(notices, Has.Count.EqualTo(1));
        Assert.That(notices[0], Does.Contain("is not kept").And.Contain(blocked));
    }

    [Test]
    public void TheStateFolderFollowsXdg()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
        string? byDefault = home.Length > 0 ? Path.Combine(home, ".local", "state", "qwenilgpu") : null;

        Assert.That(StateDirectory.Of("/var/state"), Is.EqualTo("/var/state/qwenilgpu"));
        Assert.That(StateDirectory.Of("relative"), Is.EqualTo(byDefault));
        Assert.That(StateDirectory.Of(""), Is.EqualTo(byDefault));
        Assert.That(StateDirectory.Of(null), Is.EqualTo(byDefault));
    }

    private History Open() => History.Open(FilePath, Assert.Fail);
}
