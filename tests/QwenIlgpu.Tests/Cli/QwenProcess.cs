using System.Diagnostics;
using System.Text;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The built executable as a process.</summary>
internal sealed class QwenProcess(int exitCode, string output, string error)
{
    public int ExitCode { get; } = exitCode;

    public string Output { get; } = output;

    public string Error { get; } = error;

    public static string Executable => Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "qwen.exe" : "qwen");

    /// <summary>Skips the fixture or the test where the executable is not there.</summary>
    public static void Require()
    {
        if (!File.Exists(Executable))
            Assert.Ignore($"{Executable} is not there (published tests travel without it)");
    }

    public static Process Start(params string[] args) => Start(new ProcessStartInfo(Executable, args));

    /// <summary>Runs qwen with what a shell would write behind the command: <c>2&gt;&amp;-</c>, <c>| head -c 5</c>. Of a pipe the exit code is qwen's.</summary>
    public static QwenProcess RunInShell(string directory, string behind, params string[] args) => behind.Split('|', 2) switch
    {
        [_, var reader] => RunScript(directory, Piped("\"$0\" \"$@\"", reader), args),
        _ => RunScript(directory, $"exec \"$0\" \"$@\" {behind}", args),
    };

    /// <summary>Runs qwen on a file for its input, with a pipe for its output whose reader has left before it starts.</summary>
    public static QwenProcess RunUnread(string directory, string input, params string[] args) =>
        RunScript(directory, "mkfifo left; " + Piped($"cat left; \"$0\" \"$@\" < {input}", "{ exec <&-; : > left; }"), args);

    /// <summary>Runs a script in which <c>"$0" "$@"</c> is the command.</summary>
    public static QwenProcess RunScript(string directory, string script, params string[] args) => Finish(StartScript(directory, script, args));

    public static Process StartScript(string directory, string script, params string[] args) =>
        Start(new ProcessStartInfo("/bin/sh", ["-c", script, Executable, .. args]) { WorkingDirectory = directory });

    private static string Piped(string writer, string reader) =>
        $"{{ code=$( {{ {{ {writer}; echo $? >&4; }} | {reader} >&3; }} 4>&1 ); exit $code; }} 3>&1";

    /// <summary>Ends the process's input and waits for it.</summary>
    public static QwenProcess Finish(Process process)
    {
        using (process)
        {
            process.StandardInput.Close();
            Task<string> error = process.StandardError.ReadToEndAsync();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
            {
                process.Kill(entireProcessTree: true);
                Assert.Fail("the process did not end");
            }

            return new QwenProcess(process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.StandardInputEncoding = start.StandardOutputEncoding = start.StandardErrorEncoding = utf8;
        return Process.Start(start)!;
    }
}
