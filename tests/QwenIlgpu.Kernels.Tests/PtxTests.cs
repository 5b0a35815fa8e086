using System.Globalization;
using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every kernel, in every instantiation it names, compiles to PTX for every architecture without a GPU.</summary>
[NonParallelizable]
internal sealed partial class PtxTests
{
    private static IEnumerable<TestCaseData> Kernels() =>
        KernelCatalogue.All.Select(k => new TestCaseData(k).SetArgDisplayNames(k.ToString()));

    [TestCaseSource(nameof(Kernels))]
    public void Compiles(KernelEntry kernel) => Compiles(kernel, Newest);

    [Category("Exhaustive")]
    [TestCaseSource(nameof(Kernels))]
    public void CompilesForOlderArchitectures(KernelEntry kernel)
    {
        foreach (CudaArchitecture architecture in PtxBuild.Architectures[..^1].Where(kernel.RunsOn))
            Compiles(kernel, architecture);
    }

    /// <summary>An array that the compiler cannot keep in registers lies in local memory, which is slow.</summary>
    [TestCaseSource(nameof(Kernels))]
    public void KeepsItsVariablesInRegisters(KernelEntry kernel) =>
        Assert.That(PtxBuild.Shared.Text(kernel, Newest), Does.Not.Contain("__local_depot"));

    /// <summary>A kernel that takes dynamic shared memory says how much, and no other does.</summary>
    [TestCaseSource(nameof(Kernels))]
    public void TellsItsDynamicSharedMemory(KernelEntry kernel) => Assert.That(
        PtxBuild.Shared.Text(kernel, Newest).Contains(".extern .shared", StringComparison.Ordinal), Is.EqualTo(kernel.DynamicSharedBytes > 0));

    /// <summary>What must move 16 bytes at a time, and how often it does at least.</summary>
    [TestCase("QuantizedEmbeddingKernel<Int8EmbeddingTiles, Bf16Format>", "ld.global.v4.b32", 1)]
    [TestCase("EmbeddingKernel<Bf16Weights>", "ld.global.v4.b32", 1)]
    [TestCase("GatedAttentionKernel<Bf16PageFormat, Bf16PageFormat>", "ld.global.v4.b32", 4)]
    [TestCase("RecurrentDeltaRuleKernel<Float4, F32State>", "ld.global.v4.f32", 4)]
    [TestCase("RecurrentDeltaRuleKernel<Float4, F32State>", "st.global.v4.f32", 4)]
    public void UsesWideAccess(string kernel, string mnemonic, int atLeast)
    {
        string ptx = PtxBuild.Shared.Text(KernelCatalogue.Named(kernel), Newest);

        Assert.That(Regex.Count(ptx, Regex.Escape(mnemonic)), Is.GreaterThanOrEqualTo(atLeast));
    }

    /// <summary>The code reads its operands where we pack them: same offsets, same widths, addresses where addresses are.</summary>
    [TestCaseSource(nameof(Kernels))]
    public void ReadsOperandsWhereTheyArePacked(KernelEntry kernel)
    {
        string ptx = PtxBuild.Shared.Text(kernel, Newest);
        PtxSignature signature = PtxSignature.Parse(ptx);
        ArgumentLayout[] layouts = CudaFunction.LayoutsOf(kernel, signature);
        Dictionary<string, int> starts = signature.Parameters.ToDictionary(p => p.Name, p => p.Offset);
        ArgumentWord[] packed =
        [
            .. layouts.SelectMany((l, i) => l.Words.Select(
                w => w with { Offset = w.Offset + signature.Parameters[i].Offset, ElementBytes = 0 })),
        ];

        ArgumentWord[] read =
        [
            .. ParameterLoad().Matches(ptx).Where(m => starts.ContainsKey(m.Groups["name"].Value)).Select(m => new ArgumentWord(
                starts[m.Groups["name"].Value] + (m.Groups["offset"].Success ? Number(m, "offset") : 0),
                Number(m, "bits") / 8,
                m.Groups["address"].Success)),
        ];

        Assert.That(read, Is.EquivalentTo(packed));
    }

    private static CudaArchitecture Newest => PtxBuild.Newest;

    private static void Compiles(KernelEntry kernel, CudaArchitecture architecture)
    {
        string ptx = PtxBuild.Shared.Text(kernel, architecture);

        Assert.That(PtxSignature.Parse(ptx).Name, Is.EqualTo($"Kernel_{kernel.Method.Name}"));
        Assert.That(ptx, Does.Not.Contain("bra.uni"), "a branch hint that keeps the assembler from unrolling");
        Assert.That(ptx, Does.Not.Match(@"\b(mul|add|sub)\.f(32|64)\b"), "arithmetic that the assembler may fuse");
        Assert.That(ptx, Does.Contain($".target {kernel.TargetOn(architecture) ?? "sm_80"}\n"));
    }

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(
        @"ld\.param\.[bfus](?<bits>\d+)\s+(?<register>%\w+), \[(?<name>\w+?)(\+(?<offset>\d+))?\];" +
        @"(?<address>\s+cvta\.to\.global\.u64\s+%\w+, \k<register>;)?")]
    private static partial Regex ParameterLoad();
}
