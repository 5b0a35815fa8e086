using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>`qwen chat` as a process whose terminal is a pseudo-terminal, with keys as a keyboard sends them.</summary>
[Platform("Linux")]
[UnsupportedOSPlatform("windows")]
internal sealed class ChatTerminalTests
{
    private const int Columns = 44;
    private const int Rows = 16;
    private const int SigTerm = 15;
    private const string CtrlC = "\u0003";
    private const string CtrlD = "\u0004";
    private const string CtrlU = "\u0015";
    private const string Up = "\e[A";
    private const string PasteOn = "\e[?2004h";

    private static readonly string[] Chat = ["chat", "--no-thinking", "--greedy", .. CommandLine.Device];

    private TemporaryDirectory directory = null!;
    private PseudoTerminal terminal = null!;

    private string HistoryFile => Path.Combine(directory.Path, "qwenilgpu", "chat-history");

    [OneTimeSetUp]
    public void RequireTools()
    {
        QwenProcess.Require();
        foreach (string tool in new[] { "setsid", "stty" })
        {
            if (!File.Exists($"/usr/bin/{tool}") && !File.Exists($"/bin/{tool}"))
                Assert.Ignore($"{tool} is not there, with which a process gets a terminal of its own");
        }
    }

    [SetUp]
    public void OpenTerminal() => (directory, terminal) = (new TemporaryDirectory(), new PseudoTerminal());

    [TearDown]
    public void CloseTerminal()
    {
        terminal.Dispose();
        directory.Dispose();
    }

    [Test]
    public void LinesAreEditedPastedRecalledAndAnswered()
    {
        Process process = Start("xterm", Chat);
        terminal.WaitFor(PasteOn + "\r\e[J> ");
        terminal.Type("What is the capital of Sweden?\x17Norway?\e[H\e[F\r");
        terminal.WaitFor("Oslo.");
        terminal.WaitFor("context");
        terminal.WaitFor(PasteOn);
        terminal.Type("\e[200~What sound\rdoes a cow make?\e[201~");
        terminal.WaitFor("a cow make?");
        terminal.Type("\r");
        terminal.WaitFor("context");
        terminal.WaitFor(PasteOn);
        terminal.Type(" /help\r");
        terminal.WaitFor("Alt-Enter");
        terminal.WaitFor(PasteOn);
        terminal.Type(Up + Up + Up);
        terminal.WaitFor("capital of Norway?");
        terminal.Type(CtrlU);
        terminal.Type(CtrlD);
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Done), terminal.Written);
        Assert.That(run.Output, Does.Contain(" icanon").And.Contain(" echo "), "the terminal is as it was");
        Assert.That(File.ReadAllText(HistoryFile), Is.EqualTo("What is the capital of Norway?\nWhat sound\\ndoes a cow make?\n"));
        Assert.That(File.GetUnixFileMode(HistoryFile), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        string[] shown = ShownSince("> What is the capital of Norway?");
        Assert.That(shown[..2], Is.EqualTo(new[] { "> What is the capital of Norway?", "The capital of Norway is Oslo." }));
        Assert.That(shown, Has.Member("> What sound").And.Member("  does a cow make?"));
    }

    [Test]
    public void CtrlCStopsAnAnswerAndATerminationLeavesTheTerminalInOrder()
    {
        ProcessTests.RequireSigInt();
        Process process = Start("xterm", [.. Chat, "--ignore-eos", "--max-tokens", "4000"]);
        terminal.WaitFor(PasteOn);
        terminal.Type("Tell me a story.\r");
        terminal.WaitFor("story.\r\n");
        terminal.WaitFor("e");
        terminal.Type(CtrlC);
        terminal.WaitFor("answer stopped");
        terminal.WaitFor(PasteOn);
        terminal.Type(CtrlC);
        terminal.WaitFor("(/exit or Ctrl-D leaves)");
        terminal.WaitFor("> ");
        Assert.That(ProcessTests.Kill(int.Parse(File.ReadAllText(directory.File("pid")), CultureInfo.InvariantCulture), SigTerm), Is.Zero);
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(128 + SigTerm), terminal.Written);
        Assert.That(run.Output, Does.Contain(" icanon").And.Contain(" echo "));
    }

    [Test]
    public void ATerminalThatCanDoNothingGetsNoEscapeSequences()
    {
        Process process = Start("dumb", [.. Chat, "--model", TestData.TinyModel], error: "error");
        terminal.Type("What is the capital of Norway?\n");
        terminal.WaitFor("Oslo.\r\n");
        terminal.Type(CtrlD);

        Assert.That(QwenProcess.Finish(process).ExitCode, Is.EqualTo(ExitCode.Done), terminal.Written);
        Assert.That(terminal.Written, Does.Not.Contain('\e'));
    }

    // The terminal stays open between commands. A session of its own takes it for its keyboard's signals. What the terminal's settings are in the end goes to a pipe.
    private Process Start(string kind, string[] args, string? error = null) => QwenProcess.StartScript(
        directory.Path,
        $"exec 9<>{terminal.Path}; stty cols {Columns} rows {Rows} <{terminal.Path}; export TERM={kind} XDG_STATE_HOME={directory.Path}; "
        + $"setsid -w /bin/sh -c 'echo $$ >pid; exec \"$0\" \"$@\" <{terminal.Path} >{terminal.Path} 2>{error ?? terminal.Path}' \"$0\" \"$@\"; code=$?; "
        + $"stty -a <{terminal.Path}; exit $code",
        args);

    private string[] ShownSince(string line)
    {
        var screen = new Screen(Columns, Rows);
        screen.Write(terminal.Written);
        return [.. screen.Text.SkipWhile(row => row != line)];
    }
}
