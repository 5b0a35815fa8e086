using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The chunked delta rule as machine code: all in registers, tiles by asynchronous copies, products on tensor cores.</summary>
[NonParallelizable]
internal sealed class DeltaPrefillPtxTests
{
    private static IEnumerable<TestCaseData> Kernels() => Cases(PtxBuild.Architectures);

    private static IEnumerable<TestCaseData> NewestKernels() => Cases(PtxBuild.Newest);

    [TestCaseSource(nameof(Kernels))]
    public void KeepsToRegisters(KernelEntry kernel, CudaArchitecture architecture) => PtxBuild.AssertNoSpills(kernel, architecture);

    [TestCaseSource(nameof(NewestKernels))]
    public void CopiesAsynchronouslyAndMultipliesOnTensorCores(KernelEntry kernel, CudaArchitecture architecture)
    {
        string machineCode = Ptxas.FindOrSkip().Disassemble(PtxBuild.Shared.Text(kernel, architecture), architecture);

        int Count(string instruction) => Regex.Count(machineCode, @"\b" + instruction);
        TestContext.Out.WriteLine(
            $"HMMA {Count("HMMA")}, LDSM {Count("LDSM")}, LDGSTS {Count("LDGSTS")}, MOV {Count("MOV")}, BAR {Count("BAR")}, " +
            $"all {Regex.Count(machineCode, ";")}");
        (int products, int matrices, int copies, int loads) = kernel.Method.Name switch
        {
            "DeltaPrefillInputs" => (0, 0, 0, 8),
            "DeltaPrefillPrepare" => (16, 6, 2, 0),
            _ => (144, 76, 10, 0),
        };
        Assert.That(Count(@"HMMA\.16816\.F32\b"), Is.GreaterThanOrEqualTo(products), "unrolled products");
        Assert.That(Count(@"LDSM\.16\.M(T)?88\.4\b"), Is.GreaterThanOrEqualTo(matrices));
        Assert.That(Count(@"LDGSTS\.E\.BYPASS\.128"), Is.GreaterThanOrEqualTo(copies));
        Assert.That(Count(@"LDG\.E\.128"), Is.GreaterThanOrEqualTo(loads));
    }

    private static IEnumerable<TestCaseData> Cases(params CudaArchitecture[] architectures) => PtxBuild.Cases(
        KernelCatalogue.All.Where(k => k.Method.Name is "DeltaPrefillInputs" or "DeltaPrefillPrepare" or "DeltaPrefillScan"), architectures);
}
