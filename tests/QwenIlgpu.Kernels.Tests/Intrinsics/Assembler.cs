using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// NVIDIA's ptxas, and nvdisasm beside it: PTXAS names it, or it lies on the path. Without it the test that asks is skipped.
/// </summary>
internal static partial class Assembler
{
    private const string Reason = "no ptxas on the path and none named by PTXAS: .ci/install-ptxas fetches it";

    private static readonly string? Ptxas = Find("ptxas", Environment.GetEnvironmentVariable("PTXAS"));

    /// <summary>Assembles for an architecture such as sm_80; a text that ptxas refuses fails the test.</summary>
    public static Assembly Assemble(string ptx, string architecture)
    {
        if (Ptxas is null)
            Assert.Ignore(Reason);
        string directory = Directory.CreateTempSubdirectory("ptx").FullName;
        try
        {
            string source = Path.Combine(directory, "kernel.ptx");
            string target = Path.Combine(directory, "kernel.cubin");
            File.WriteAllText(source, ptx);
            (int code, string report) = Run(Ptxas!, "-v", $"-arch={architecture}", source, "-o", target);
            Assert.That(code, Is.Zero, report);
            string? nvdisasm = Find("nvdisasm", Path.Combine(Path.GetDirectoryName(Ptxas!)!, "nvdisasm"));
            string? sass = nvdisasm is null ? null : Run(nvdisasm, "-c", target).Output;
            return new Assembly(Number(Registers(), report), Number(Stack(), report), Number(SpillStores(), report), sass);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string? Find(string tool, string? named)
    {
        if (!string.IsNullOrEmpty(named) && File.Exists(named))
            return named;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(d => Path.Combine(d, tool)).FirstOrDefault(File.Exists);
    }

    private static (int Code, string Output) Run(string tool, params string[] arguments)
    {
        var start = new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    private static int Number(Regex pattern, string report) =>
        pattern.Matches(report).Select(m => int.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture)).DefaultIfEmpty(0).Max();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex Registers();

    [GeneratedRegex(@"(\d+) bytes stack frame")]
    private static partial Regex Stack();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    /// <summary>What ptxas says of a kernel; the machine code is null without nvdisasm.</summary>
    internal sealed record Assembly(int Registers, int StackBytes, int SpillBytes, string? Sass)
    {
        public int Count(string mnemonic) => Regex.Count(Sass ?? "", $@"\b{mnemonic}\b");
    }
}
