using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>NVIDIA's PTX assembler, which needs no GPU.</summary>
internal sealed partial class Ptxas
{
    private readonly string path;

    private Ptxas(string path)
    {
        this.path = path;
        string text = Run(path, "--version").Output;
        Match release = ReleasePattern().Match(text);
        Release = release.Success ? release.Groups["release"].Value : throw new InvalidOperationException($"{path} --version says: {text}");
    }

    /// <summary>The CUDA release that it belongs to: <c>12.4</c>.</summary>
    public string Release { get; }

    /// <summary>The assembler that the environment names in PTXAS; without one the test is skipped.</summary>
    public static Ptxas FindOrSkip()
    {
        string? path = Environment.GetEnvironmentVariable("PTXAS");
        if (string.IsNullOrEmpty(path))
            Assert.Ignore("PTXAS names no assembler; `PTXAS=$(.ci/install-ptxas)` fetches one");
        return new Ptxas(path!);
    }

    /// <summary>Assembles a text for an architecture.</summary>
    /// <exception cref="InvalidOperationException">It is refused; the message holds the assembler's.</exception>
    public AssembledKernel Assemble(string ptx, CudaArchitecture architecture)
    {
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.ptx");
        try
        {
            File.WriteAllText(file, ptx);
            string nowhere = OperatingSystem.IsWindows() ? "NUL" : "/dev/null";
            (int code, string output) = Run(path, "-v", $"-arch={NameOf(architecture, ptx)}", file, "-o", nowhere);
            Match use = UsePattern().Match(output);
            MatchCollection stacks = StackPattern().Matches(output);
            if (code != 0 || !use.Success || stacks.Count == 0)
                throw new InvalidOperationException(output.Replace(file, "ptx", StringComparison.Ordinal).Trim());
            Match shared = SharedPattern().Match(output);
            return new AssembledKernel(
                Number(use, "registers"), stacks.Sum(s => Number(s, "frame") + Number(s, "stores") + Number(s, "loads")),
                shared.Success ? Number(shared, "bytes") : 0);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The machine code of a text as nvdisasm, which lies beside the assembler, shows it; without it the test is skipped.</summary>
    public string Disassemble(string ptx, CudaArchitecture architecture)
    {
        string disassembler = Path.Combine(Path.GetDirectoryName(path)!, "nvdisasm");
        if (!File.Exists(disassembler))
            Assert.Ignore("assembled; no nvdisasm beside ptxas to read the machine code with");
        using var directory = new TemporaryDirectory();
        string source = Path.Combine(directory.Path, "kernel.ptx");
        string target = Path.Combine(directory.Path, "kernel.cubin");
        File.WriteAllText(source, ptx);
        (int code, string output) = Run(path, $"-arch={NameOf(architecture, ptx)}", source, "-o", target);
        return code == 0 ? Run(disassembler, "-c", target).Output : throw new InvalidOperationException(output);
    }

    // A text for sm_90a assembles only as sm_90a.
    private static string NameOf(CudaArchitecture architecture, string ptx)
    {
        string name = $"sm_{architecture.Major}{architecture.Minor}";
        return ptx.Contains($".target {name}a", StringComparison.Ordinal) ? name + "a" : name;
    }

    private static (int Code, string Output) Run(string tool, params string[] arguments)
    {
        var start = new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output.Result + errors);
    }

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"release (?<release>\d+\.\d+)")]
    private static partial Regex ReleasePattern();

    [GeneratedRegex(@"Used (?<registers>\d+) registers")]
    private static partial Regex UsePattern();

    // One a function: a module may hold others than the entry.
    [GeneratedRegex(@"(?<frame>\d+) bytes stack frame, (?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads")]
    private static partial Regex StackPattern();

    [GeneratedRegex(@"(?<bytes>\d+) bytes smem")]
    private static partial Regex SharedPattern();
}

/// <summary>What a kernel takes: registers a thread; bytes a thread of stack frame and spills; static shared bytes a group.</summary>
internal sealed record AssembledKernel(int Registers, int LocalBytes, int SharedBytes);
