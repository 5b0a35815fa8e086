using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the instructions become: PTX with registers in place, and the machine instructions that are meant.</summary>
[NonParallelizable]
internal sealed class InstructionPtxTests
{
    /// <summary>The PTX of each test kernel.</summary>
    public static IReadOnlyDictionary<string, string> Texts => Compiled.Value;

    private static readonly Lazy<Dictionary<string, string>> Compiled = new(() => new Dictionary<string, string>
    {
        ["Words"] = Ptx.Of<WordKernel>(WordKernel.Words),
        ["Warps"] = Ptx.Of<WarpKernel>(WarpKernel.Warps),
        ["Matrices"] = Ptx.Of<LoadMatrixKernel>(LoadMatrixKernel.Matrices),
        ["Products"] = Ptx.Of<MmaKernel>(MmaKernel.Products),
        ["Copies"] = Ptx.Of<AsyncCopyKernel>(AsyncCopyKernel.Copies),
        ["Loads"] = Ptx.Of<GlobalLoadKernel>(GlobalLoadKernel.Loads),
        ["Scopes"] = Ptx.Of<ScopeKernel>(ScopeKernel.Scopes),
        ["Tickets"] = Ptx.Of<TicketKernel>(TicketKernel.Tickets),
        ["Sums"] = Ptx.Of<SumKernel>(SumKernel.Sums),
        ["Dependencies"] = Ptx.Of<GridDependencyKernel>(GridDependencyKernel.Dependencies),
    });

    private static IEnumerable<TestCaseData> Instructions() =>
        Kernels.Intrinsics.Instructions.Select(m => new TestCaseData(m).SetArgDisplayNames($"{m.DeclaringType!.Name}.{m.Name}"));

    /// <summary>What matches an instruction in PTX: the attribute's text, its placeholders replaced by registers.</summary>
    public static string Pattern(MethodInfo instruction)
    {
        string text = Regex.Escape(instruction.GetCustomAttribute<PtxAttribute>()!.Text);
        return Regex.Replace(text, @"\\\$(d|[sg]?\d)", @"(\{%[^}]+\}|[%_]\w+)");
    }

    /// <summary>Somewhere a test kernel uses each.</summary>
    [TestCaseSource(nameof(Instructions))]
    public void WritesItsText(MethodInfo instruction) => Assert.That(Texts.Values, Has.Some.Match(Pattern(instruction)));

    [TestCase("Words", "sm_80", "HADD2|HFMA2|HFMA2.BF16_V2|F2FP.PACK_AB|F2FP.BF16.PACK_AB")]
    [TestCase("Words", "sm_80", "LOP3.LUT|PRMT|FFMA|MUFU.EX2|MUFU.RSQ|MUFU.RCP")]
    [TestCase("Warps", "sm_80", "SHFL.BFLY|SHFL.IDX")]
    [TestCase("Matrices", "sm_80", "LDSM.16.M88.4|LDSM.16.MT88.4")]
    [TestCase("Products", "sm_80", "HMMA.16816.F32|HMMA.16816.F32.BF16")]
    [TestCase("Copies", "sm_80", "LDGSTS.E.BYPASS.128|LDGDEPBAR|DEPBAR.LE")]
    [TestCase("Loads", "sm_80", @"LDG.E.NA.128.CONSTANT|LDG\S*.128\S*|CCTL.E.PF2")]
    [TestCase("Tickets", "sm_80", @"LDG.E.STRONG.GPU|RED.E.ADD|ATOMG.E.ADD|MEMBAR\S*")]
    [TestCase("Sums", "sm_80", @"ATOMS\S*|RED.E.ADD.64")]
    [TestCase("Dependencies", "sm_90", "ACQBULK|PREEXIT")]
    public void BecomesMachineInstructions(string kernel, string architecture, string mnemonics)
    {
        string ptx = Texts[kernel].Replace(".target sm_80", $".target {architecture}", StringComparison.Ordinal);

        Ptxas ptxas = Ptxas.FindOrSkip();
        Assert.That(ptxas.Assemble(ptx, ArchitectureOf(architecture)).LocalBytes, Is.Zero, "stack and spills");
        string machineCode = ptxas.Disassemble(ptx, ArchitectureOf(architecture));
        foreach (string mnemonic in mnemonics.Split('|'))
            Assert.That(machineCode, Does.Match($@"\s{mnemonic}"), mnemonic);
    }

    /// <summary>The architecture that the assembler calls <c>sm_80</c>.</summary>
    internal static CudaArchitecture ArchitectureOf(string name) => new(name[3] - '0', name[4] - '0');
}
