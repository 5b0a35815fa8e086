using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The prefill matmul as machine code: everything in registers, x by asynchronous copies, sums on the tensor cores.</summary>
[NonParallelizable]
internal sealed class PrefillMatMulPtxTests
{
    private static IEnumerable<TestCaseData> Kernels() =>
        PtxBuild.Cases(KernelCatalogue.All.Where(k => k.Method.Name is "PrefillMatMul"), new(8, 0), new(9, 0));

    [TestCaseSource(nameof(Kernels))]
    public void KeepsToRegistersAndTensorCores(KernelEntry kernel, CudaArchitecture architecture)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        int tokenTiles = kernel.ToString().Contains("FewTokens", StringComparison.Ordinal) ? 4 : 8;
        bool isDense = kernel.ToString().Contains("DenseTiles", StringComparison.Ordinal);
        string ptx = PtxBuild.Shared.Text(kernel, architecture);

        AssembledKernel used = ptxas.Assemble(ptx, architecture);
        string machineCode = ptxas.Disassemble(ptx, architecture);

        int products = Regex.Count(machineCode, @"\bHMMA\.16816\.F32\b");
        int fragments = Regex.Count(machineCode, @"\bLDSM\.16\.M88\.4\b");
        int copies = Regex.Count(machineCode, @"\bLDGSTS\.E\.BYPASS\.128\b");
        TestContext.Out.WriteLine(
            $"{used.Registers} registers, {used.LocalBytes} bytes of stack and spills, {used.SharedBytes} shared, "
            + $"{products} HMMA, {fragments} LDSM, {copies} LDGSTS");
        Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
        Assert.That(used.SharedBytes, Is.LessThanOrEqualTo(48 << 10));
        Assert.That(products, Is.GreaterThanOrEqualTo(8 * tokenTiles), "two row tiles by the tiles of tokens by 64 k, or 32 k twice");
        Assert.That(fragments, isDense ? Is.Zero : Is.GreaterThanOrEqualTo(2 * tokenTiles));
        Assert.That(copies, Is.GreaterThanOrEqualTo(3));
    }
}
