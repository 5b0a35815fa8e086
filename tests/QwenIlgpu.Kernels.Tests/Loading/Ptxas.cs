using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>NVIDIA's PTX assembler, which needs no GPU. It assembles a text once a run.</summary>
internal sealed partial class Ptxas
{
    private static readonly Lazy<Ptxas?> Found = new(
        () => Environment.GetEnvironmentVariable("PTXAS") is { Length: > 0 } path ? new Ptxas(path) : null);

    private readonly string path;
    private readonly ConcurrentDictionary<(string Text, CudaArchitecture), Lazy<(AssembledKernel Kernel, byte[] Cubin)>> assembled = new();

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
        if (Found.Value is null)
            Assert.Ignore("PTXAS names no assembler; `PTXAS=$(.ci/install-ptxas)` fetches one");
        return Found.Value!;
    }

    /// <summary>Assembles a text for an architecture.</summary>
    /// <exception cref="InvalidOperationException">It is refused; the message holds the assembler's.</exception>
    public AssembledKernel Assemble(string ptx, CudaArchitecture architecture) => Once(ptx, architecture).Kernel;

    /// <summary>The machine code of a text as nvdisasm, which lies beside the assembler, shows it; without it the test is skipped.</summary>
    public string Disassemble(string ptx, CudaArchitecture architecture)
    {
        string disassembler = Path.Combine(Path.GetDirectoryName(path)!, "nvdisasm");
        if (!File.Exists(disassembler))
            Assert.Ignore("assembled; no nvdisasm beside ptxas to read the machine code with");
        using var directory = new TemporaryDirectory();
        string cubin = Path.Combine(directory.Path, "kernel.cubin");
        File.WriteAllBytes(cubin, Once(ptx, architecture).Cubin);
        return Run(disassembler, "-c", cubin).Output;
    }

    private (AssembledKernel Kernel, byte[] Cubin) Once(string ptx, CudaArchitecture architecture) =>
        assembled.GetOrAdd((ptx, architecture), _ => new(() => Run(ptx, architecture))).Value;

    private (AssembledKernel Kernel, byte[] Cubin) Run(string ptx, CudaArchitecture architecture)
    {
        using var directory = new TemporaryDirectory();
        string source = Path.Combine(directory.Path, "kernel.ptx");
        string target = Path.Combine(directory.Path, "kernel.cubin");
        File.WriteAllText(source, ptx);
        (int code, string output) = Run(path, "-v", $"-arch={NameOf(architecture, ptx)}", source, "-o", target);
        Match use = UsePattern().Match(output);
        MatchCollection stacks = StackPattern().Matches(output);
        if (code != 0 || !use.Success || stacks.Count == 0)
            throw new InvalidOperationException(output.Replace(source, "ptx", StringComparison.Ordinal).Trim());
        Match shared = SharedPattern().Match(output);
        var kernel = new AssembledKernel(
            Number(use, "registers"), stacks.Sum(s => Number(s, "frame") + Number(s, "stores") + Number(s, "loads")),
            shared.Success ? Number(shared, "bytes") : 0);
        return (kernel, File.ReadAllBytes(target));
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
