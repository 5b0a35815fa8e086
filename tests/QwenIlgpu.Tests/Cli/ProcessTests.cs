using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The built executable as a process: what tests inside this one cannot see of streams, exit codes and signals.</summary>
internal sealed partial class ProcessTests
{
    private const int SigInt = 2;

    private static string Executable => Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "qwen.exe" : "qwen");

    [OneTimeSetUp]
    public void FindExecutable()
    {
        if (!File.Exists(Executable))
            Assert.Ignore($"{Executable} is not there (published tests travel without it)");
    }

    [Test]
    public void PrintsOneJsonValueAndExitsWithZero()
    {
        using Process process = Start(["generate", "What is the capital of Norwäy? 🦊", "--greedy", "--max-tokens", "3", "--json", .. CommandLine.Device]);
        (string output, string error) = Finish(process);

        Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Done), error);
        Assert.That(JsonElement.Parse(output).GetProperty("ids").GetArrayLength(), Is.EqualTo(3));
        Assert.That(error, Does.Contain("built-in test model"));
    }

    [TestCase(ExitCode.Failed, "info", "--model", "/no/such/model")]
    [TestCase(ExitCode.WrongUsage, "info", "--frob")]
    [TestCase(ExitCode.Done, "--version")]
    public void ExitsWithItsCode(int code, params string[] args)
    {
        using Process process = Start(args);
        (_, string error) = Finish(process);

        Assert.That(process.ExitCode, Is.EqualTo(code), error);
        Assert.That(error, Does.Not.Contain("   at "));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void CtrlCEndsAGenerationWith130()
    {
        RequireSigInt();
        using Process process = Start(
            ["generate", "Tell me a story.", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device]);
        process.StandardOutput.Read();
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        (_, string error) = Finish(process);

        Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Interrupted), error);
        Assert.That(error, Does.Contain("interrupted"));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void CtrlCStopsTheAnswerOfAChatOnly()
    {
        RequireSigInt();
        using Process process = Start(["chat", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device]);
        process.StandardInput.WriteLine("Tell me a story.");
        process.StandardOutput.Read();
        Assert.That(Kill(process.Id, SigInt), Is.Zero);
        process.StandardInput.WriteLine("/exit");
        (_, string error) = Finish(process);

        Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Done), error);
        Assert.That(error, Does.Contain("answer stopped"));
    }

    private static Process Start(string[] args)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var start = new ProcessStartInfo(Executable, args)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = utf8,
            StandardOutputEncoding = utf8,
            StandardErrorEncoding = utf8,
        };
        return Process.Start(start)!;
    }

    private static (string Output, string Error) Finish(Process process)
    {
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill();
            Assert.Fail("the process did not end");
        }

        return (output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    // A process started with SIGINT ignored, as in the background of a script, hands that on to its children.
    private static void RequireSigInt()
    {
        const string Status = "/proc/self/status";
        string? mask = File.Exists(Status) ? File.ReadLines(Status).FirstOrDefault(l => l.StartsWith("SigIgn:", StringComparison.Ordinal)) : null;
        if (mask is not null && (ulong.Parse(mask.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & (1UL << (SigInt - 1))) != 0)
            Assert.Ignore("the tests run with SIGINT ignored");
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
