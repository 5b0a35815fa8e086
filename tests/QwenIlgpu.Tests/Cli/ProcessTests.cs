using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The built executable as a process: what tests inside this one cannot see of streams, exit codes and signals.</summary>
internal sealed partial class ProcessTests
{
    private const int SigInt = 2;

    [OneTimeSetUp]
    public void RequireExecutable() => QwenProcess.Require();

    [Test]
    public void PrintsOneJsonValueAndExitsWithZero()
    {
        Process process = QwenProcess.Start(["generate", "What is the capital of Norwäy? 🦊", "--greedy", "--max-tokens", "3", "--json", .. CommandLine.Device]);
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Done), run.Error);
        Assert.That(JsonElement.Parse(run.Output).GetProperty("ids").GetArrayLength(), Is.EqualTo(3));
        Assert.That(run.Error, Does.Contain("built-in test model"));
    }

    [TestCase(ExitCode.Failed, "info", "--model", "/no/such/model")]
    [TestCase(ExitCode.WrongUsage, "info", "--frob")]
    [TestCase(ExitCode.Done, "--version")]
    public void ExitsWithItsCode(int code, params string[] args)
    {
        Process process = QwenProcess.Start(args);
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(code), run.Error);
        Assert.That(run.Error, Does.Not.Contain("   at "));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void CtrlCEndsAGenerationWith130()
    {
        RequireSigInt();
        Process process = QwenProcess.Start(
            ["generate", "Tell me a story.", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device]);
        process.StandardOutput.Read();
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Interrupted), run.Error);
        Assert.That(run.Error, Does.Contain("interrupted"));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void CtrlCStopsTheAnswerOfAChatOnly()
    {
        RequireSigInt();
        Process process = QwenProcess.Start(["chat", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device]);
        process.StandardInput.WriteLine("Tell me a story.");
        process.StandardOutput.Read();
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        process.StandardInput.WriteLine("/exit");
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Done), run.Error);
        Assert.That(run.Error, Does.Contain("answer stopped"));
    }

    // Its notice, which a terminal shows at once, says that it has begun.
    [Test]
    [Platform("Linux")]
    public void TheFirstCtrlCEndsACommandThatReadsATerminal()
    {
        RequireSigInt();
        using var terminal = new PseudoTerminal();
        Process process = QwenProcess.StartScript(Path.GetTempPath(), $"exec \"$0\" \"$@\" <{terminal.Path} 2>{terminal.Path}", "tokenize", "--input", "-");
        terminal.WaitFor("built-in test model");
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        terminal.WaitFor("qwen: interrupted");

        Assert.That(QwenProcess.Finish(process).ExitCode, Is.EqualTo(ExitCode.Interrupted));
    }

    [Test]
    [Platform("Linux")]
    public void CtrlCAtThePromptOfAChatLeavesItThere()
    {
        RequireSigInt();
        using var terminal = new PseudoTerminal();
        string script = $"exec \"$0\" \"$@\" <{terminal.Path} 2>{terminal.Path}";
        Process process = QwenProcess.StartScript(Path.GetTempPath(), script, ["chat", "--no-thinking", "--greedy", .. CommandLine.Device]);
        terminal.WaitFor("> ");
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        terminal.WaitFor("(/exit leaves)");
        terminal.Type("What is the capital of Norway?\n");
        terminal.WaitFor("tok/s");
        terminal.Type("/exit\n");
        QwenProcess run = QwenProcess.Finish(process);

        Assert.That((run.ExitCode, run.Output), Is.EqualTo((ExitCode.Done, "The capital of Norway is Oslo.\n")));
    }

    [TestCase("")]
    [TestCase("COLUMNS=50 ")]
    [Platform("Linux")]
    public void HelpIsAsWideAsItsTerminal(string variable)
    {
        using var terminal = new PseudoTerminal();
        string script = $"exec 9<>{terminal.Path}; stty cols 60 -onlcr <&9; {variable}\"$0\" \"$@\" >&9; echo =end= >&9";
        Process process = QwenProcess.StartScript(Path.GetTempPath(), script, "perplexity", "--help");
        terminal.WaitFor("=end=");
        QwenProcess run = QwenProcess.Finish(process);

        int width = terminal.Screen.Split('\n').Max(l => l.Length);
        Assert.That(width, variable.Length > 0 ? Is.InRange(40, 50) : Is.InRange(51, 60), run.Error);
        Assert.That(terminal.Screen, Does.Not.Contain("\e"));
    }

    [Test]
    [Category("Exhaustive")]
    [Platform("Linux")]
    public void NoColorLeavesThoughtsPlain()
    {
        using var terminal = new PseudoTerminal();
        string script = $"NO_COLOR=1 exec \"$0\" \"$@\" 2>{terminal.Path}";
        Process process = QwenProcess.StartScript(Path.GetTempPath(), script, ["generate", "hi", "--greedy", "--max-tokens", "3", .. CommandLine.Device]);
        terminal.WaitFor("tok/s");

        Assert.That(QwenProcess.Finish(process).ExitCode, Is.EqualTo(ExitCode.Done));
        Assert.That(terminal.Screen, Does.Contain("loading weights").And.Not.Match("\e\\[[0-9;]*m"));
    }

    // A process started with SIGINT ignored, as in the background of a script, hands that on to its children.
    internal static void RequireSigInt()
    {
        const string Status = "/proc/self/status";
        string? mask = File.Exists(Status) ? File.ReadLines(Status).FirstOrDefault(l => l.StartsWith("SigIgn:", StringComparison.Ordinal)) : null;
        if (mask is not null && (ulong.Parse(mask.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & (1UL << (SigInt - 1))) != 0)
            Assert.Ignore("the tests run with SIGINT ignored");
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    internal static partial int Kill(int process, int signal);
}
