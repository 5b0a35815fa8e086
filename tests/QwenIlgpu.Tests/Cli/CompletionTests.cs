using System.Diagnostics;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen completion`: the scripts, and what bash makes of its one.</summary>
internal sealed class CompletionTests
{
    [TestCase("bash", "complete -o default -F _qwen qwen")]
    [TestCase("zsh", "compdef _qwen qwen")]
    [TestCase("pwsh", "Register-ArgumentCompleter -Native -CommandName qwen")]
    public void EveryShellHasAScript(string shell, string registers)
    {
        string script = CommandLine.Run("completion", shell).Expect(ExitCode.Done).Output;

        Assert.That(script, Does.Contain(registers).And.Contain("[suggest:"));
        Assert.That(CommandLine.Run("completion", "fish").Expect(ExitCode.WrongUsage).Error, Does.Contain("SHELL is 'fish'; it must be bash, zsh or pwsh"));
    }

    // Where nothing fits bash offers files.
    [Test]
    [Platform("Linux")]
    public void BashCompletesCommandsOptionsAndValues()
    {
        QwenProcess.Require();
        const string Bash = "/bin/bash";
        if (!File.Exists(Bash))
            Assert.Ignore("there is no bash here");
        (string Line, string Expected)[] lines =
        [
            ("qwen generate --max", "--max-tokens"), ("qwen generate --quantize-head ", "int8 none"), ("qwen perplexity ", ""),
        ];
        string script = "eval \"$(qwen completion bash)\"\n" + string.Concat(lines.Select(l =>
            $"COMP_LINE='{l.Line}' COMP_POINT={l.Line.Length} COMP_WORDS=({l.Line}{(l.Line.EndsWith(' ') ? " ''" : "")})\n"
            + "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _qwen; echo \"${COMPREPLY[*]}\"\n"));
        var start = new ProcessStartInfo(Bash, ["--norc", "-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{Path.GetDirectoryName(QwenProcess.Executable)}:{start.Environment["PATH"]}";
        using Process process = Process.Start(start)!;
        string error = process.StandardError.ReadToEnd();
        string[] replies = process.StandardOutput.ReadToEnd().Split('\n')[..^1];
        process.WaitForExit();

        Assert.That(error, Is.Empty);
        Assert.That(replies.Select(r => string.Join(' ', r.Split(' ').Order(StringComparer.Ordinal))), Is.EqualTo(lines.Select(l => l.Expected)));
    }
}
