using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Prefill attention as machine code: everything in registers, every loop over fragments unrolled.</summary>
[NonParallelizable]
internal sealed class PrefillAttentionPtxTests
{
    private static IEnumerable<TestCaseData> Kernels() => Cases(PtxBuild.Architectures);

    private static IEnumerable<TestCaseData> UnrolledKernels() => Cases(new(8, 0), new(9, 0));

    [TestCaseSource(nameof(Kernels))]
    public void KeepsToRegisters(KernelEntry kernel, CudaArchitecture architecture) => PtxBuild.AssertNoSpills(kernel, architecture);

    [TestCaseSource(nameof(UnrolledKernels))]
    public void UnrollsItsFragments(KernelEntry kernel, CudaArchitecture architecture)
    {
        string machineCode = Ptxas.FindOrSkip().Disassemble(PtxBuild.Shared.Text(kernel, architecture), architecture);

        int products = Regex.Count(machineCode, @"\bHMMA\.16816\.F32\.BF16\b");
        int loads = Regex.Count(machineCode, @"\bLDSM\.16\.M");
        int copies = Regex.Count(machineCode, @"\bLDGSTS\.E\.BYPASS\.128\b");
        TestContext.Out.WriteLine($"HMMA {products}, LDSM {loads}, LDGSTS {copies}");
        int totals = kernel.ToString().Contains("<Int4", StringComparison.Ordinal) ? Dim(kernel) / 16 : 0;
        Assert.That(products, Is.EqualTo(Dim(kernel) + totals), "64 keys by a head for the scores, a head by 64 keys for the values, queries by ones");
        Assert.That(
            loads,
            Is.InRange((Dim(kernel) * 9 / 16) + totals, (Dim(kernel) * 9 / 16) + totals + 4),
            "four a step of eight products, of scores one more for the queries, and four behind the last");
        Assert.That(
            copies, Is.GreaterThanOrEqualTo(kernel.ToString().Contains("<Bf16", StringComparison.Ordinal) ? 8 : 6),
            "codes and scales of the first keys, of values and of the next keys");
    }

    private static IEnumerable<TestCaseData> Cases(params CudaArchitecture[] architectures) =>
        PtxBuild.Cases(KernelCatalogue.All.Where(k => k.Method.Name is "PrefillAttention"), architectures);

    private static int Dim(KernelEntry kernel) => 64 << Regex.Count(kernel.ToString(), "Twice");
}
