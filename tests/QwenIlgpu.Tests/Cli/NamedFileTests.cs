using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.Versioning;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The file that `qwen logits --output` names, whatever lies there.</summary>
[Platform("Linux,MacOsX")]
[UnsupportedOSPlatform("windows")]
internal sealed class NamedFileTests
{
    private TemporaryDirectory directory = null!;

    private string Input => directory.File("ids.json");

    [SetUp]
    public void CreateDirectory()
    {
        directory = new TemporaryDirectory();
        File.WriteAllText(Input, """[{"ids": [1, 2, 3]}]""");
    }

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void ALinkStaysAndItsTargetIsReplacedInItsMode()
    {
        string target = directory.File("target");
        File.WriteAllText(target, "old");
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead;
        File.SetUnixFileMode(target, Mode);
        Link("middle", "target");

        Logits(Link("link", "middle")).Expect(ExitCode.Done);

        Assert.That(new FileInfo(directory.File("link")).LinkTarget, Is.EqualTo("middle"));
        Assert.That(File.GetUnixFileMode(target), Is.EqualTo(Mode));
        Assert.That(Holds(target), Is.True);
        Assert.That(Names(), Is.EqualTo(new[] { "ids.json", "link", "middle", "target" }));
    }

    // Links are followed as the system does: what ".." means depends on where a link leads.
    [Test]
    public void ALinkToNothingMakesItsTarget()
    {
        Directory.CreateDirectory(directory.File("far/deep"));
        Link("near", "far/deep");

        Logits(Link("far/deep/link", "../target", "near/link")).Expect(ExitCode.Done);

        Assert.That(Holds(directory.File("far/target")), Is.True);
        Assert.That(new FileInfo(directory.File("far/deep/link")).LinkTarget, Is.EqualTo("../target"));
        Assert.That(Names(), Is.EqualTo(new[] { "far", "ids.json", "near" }));
    }

    [Test]
    public void ADeviceIsWrittenToAndStays()
    {
        Logits(Link("link", "/dev/null")).Expect(ExitCode.Done);

        Assert.That(new FileInfo(directory.File("link")).LinkTarget, Is.EqualTo("/dev/null"));
        Assert.That(Names(), Is.EqualTo(new[] { "ids.json", "link" }));
    }

    [Test]
    public void ADeviceThatIsFullIsOneError()
    {
        if (!File.Exists("/dev/full"))
            Assert.Ignore("there is no /dev/full");
        string link = Link("link", "/dev/full");

        Assert.That(Logits(link).Expect(ExitCode.Failed).Error, Is.EqualTo($"qwen: {link} cannot be written: No space left on device\n"));
    }

    [Test]
    public async Task AFifoIsWrittenToAndStays()
    {
        string fifo = Fifo("fifo");
        Task<byte[]> read = Task.Run(() => ReadAll(fifo));

        Logits(fifo).Expect(ExitCode.Done);

        await File.WriteAllBytesAsync(directory.File("read"), await read);
        Assert.That(Holds(directory.File("read")), Is.True);
        Assert.That(Names(), Is.EqualTo(new[] { "fifo", "ids.json", "read" }));
    }

    [Test]
    [Platform("Linux")]
    public void AStandardStreamIsWrittenToByItsName()
    {
        QwenProcess.Require();
        string[] args = ["logits", "--input", Input, "--output", "/dev/stdout", .. CommandLine.Device];
        QwenProcess.RunInShell(directory.Path, "| { cat > piped; }", args);
        QwenProcess.RunInShell(directory.Path, "> redirected", args);

        Assert.That(Holds(directory.File("piped")), Is.True);
        Assert.That(File.ReadAllBytes(directory.File("redirected")), Is.EqualTo(File.ReadAllBytes(directory.File("piped"))));
    }

    [Test]
    public void WhatCannotBeWrittenIsOneErrorBeforeTheModelIsLoaded()
    {
        Directory.CreateDirectory(directory.File("folder"));
        Link("loop", "loop");
        Link("astray", "no/such/file");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(directory.File("socket")));
        string[] before = Names();

        Assert.That(Refusal(""), Does.Contain("'' is no file name"));
        Assert.That(Refusal("a\0b"), Does.Contain(@"'a\u0000b' is no file name"));
        Assert.That(Refusal(directory.Path), Does.Contain("is a directory"));
        Assert.That(Refusal(directory.File("folder")), Does.Contain("folder is a directory"));
        Assert.That(Refusal(directory.File("new/")), Does.Contain("new/ is a directory"));
        Assert.That(Refusal(directory.File("loop")), Does.Contain("loop").And.Contain("links"));
        Assert.That(Refusal(directory.File("astray")), Does.Contain("there is no directory").And.Contain("no/such"));
        Assert.That(Refusal(directory.File("no/file")), Does.Contain("there is no directory"));
        Assert.That(Refusal(Path.Combine(Input, "file")), Does.Contain("Not a directory"));
        Assert.That(Refusal(directory.File("socket")), Does.Contain("is a socket"));
        Assert.That(Refusal(directory.File(new string('n', 300))), Does.Contain("too long"));
        Assert.That(Names(), Is.EqualTo(before));
    }

    [Test]
    [Platform("Linux")]
    public void AFolderThatTakesNoFilesIsOneErrorBeforeTheModelIsLoaded()
    {
        if (!Directory.Exists("/proc/self/task"))
            Assert.Ignore("there is no /proc");
        Assert.That(Refusal("/proc/self/task/out"), Does.Contain("/proc/self/task/out cannot be written"));
    }

    [Test]
    public void TheInputIsNoOutput()
    {
        Link("link", "ids.json");
        string text = File.ReadAllText(Input);

        Assert.That(Refusal(Input), Does.Contain("is the file of --input"));
        Assert.That(Refusal(directory.File("link")), Does.Contain("is the file of --input"));
        Assert.That(File.ReadAllText(Input), Is.EqualTo(text));
    }

    // Links to files elsewhere, as a download cache lays a checkpoint out.
    [TestCase("model.safetensors")]
    [TestCase("tokenizer.json")]
    public void AFileOfTheCheckpointIsNoOutput(string name)
    {
        Directory.CreateDirectory(directory.File("snapshot"));
        foreach (string file in Directory.GetFiles(TestData.TinyModel))
        {
            File.Copy(file, directory.File($"blob-{Path.GetFileName(file)}"));
            Link($"snapshot/{Path.GetFileName(file)}", $"../blob-{Path.GetFileName(file)}");
        }

        string[] before = Names();
        foreach (string output in (string[])[directory.File($"snapshot/{name}"), directory.File($"blob-{name}")])
        {
            Assert.That(Refusal(output, "--model", directory.File("snapshot")), Does.Contain("is a file of the checkpoint"));
            Assert.That(File.ReadAllBytes(output).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(TestData.TinyModel, name))), Is.True);
        }

        Assert.That(Names(), Is.EqualTo(before));
    }

    [Test]
    public void AnInterruptLeavesNothingBehind()
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error);
        string file = directory.File("out");
        File.WriteAllText(file, "old");

        int code = CommandLine.RunOn(
            terminal,
            (_, _, _, cancellation) =>
            {
                terminal.Interrupts.Raise();
                throw new OperationCanceledException(cancellation);
            },
            ["logits", "--input", Input, "--output", file]);

        Assert.That((code, error.ToString()), Is.EqualTo((ExitCode.Interrupted, "qwen: interrupted\n")));
        Assert.That(File.ReadAllText(file), Is.EqualTo("old"));
        Assert.That(Names(), Is.EqualTo(new[] { "ids.json", "out" }));
    }

    // A FIFO that nobody reads would be waited for.
    [Test]
    public void AnInterruptEndsTheWaitForAReader()
    {
        string fifo = Fifo("fifo");
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error);
        Task<int> run = Task.Run(() => CommandLine.RunOn(terminal, ["logits", "--input", Input, "--output", fifo]));
        while (!run.IsCompleted)
        {
            terminal.Interrupts.Raise();
            Thread.Yield();
        }

        Assert.That((run.Result, error.ToString()), Is.EqualTo((ExitCode.Interrupted, "qwen: interrupted\n")));
    }

    private CommandLine Logits(string output) => CommandLine.RunModel("logits", "--input", Input, "--output", output);

    private string Refusal(string output, params string[] options)
    {
        CommandLine run = CommandLine.RunWithoutModel(["logits", "--input", Input, "--output", output, .. options]);
        Assert.That(run.ExitCode, Is.AnyOf(ExitCode.Failed, ExitCode.WrongUsage));
        Assert.That(run.Error, Does.Match(@"\Aqwen: [^\n]+\n\z"));
        return run.Error;
    }

    private string Link(string name, string target, string? shown = null)
    {
        File.CreateSymbolicLink(directory.File(name), target);
        return directory.File(shown ?? name);
    }

    private string Fifo(string name)
    {
        using var process = Process.Start("mkfifo", directory.File(name));
        process.WaitForExit();
        return directory.File(name);
    }

    private static byte[] ReadAll(string file)
    {
        using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static bool Holds(string file)
    {
        using SafetensorsFile written = SafetensorsFile.Open(file);
        return written.Tensors["0.logits"].Shape.SequenceEqual([3, 2048]);
    }

    private string[] Names() => [.. Directory.GetFileSystemEntries(directory.Path).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];
}
