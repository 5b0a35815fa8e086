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
