using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The decode matmul as machine code: everything in registers, weights in loads of 16 bytes, sums on the tensor cores.</summary>
[NonParallelizable]
internal sealed class DecodeMatMulPtxTests
{
    private static IEnumerable<TestCaseData> Kernels() => Cases(new(8, 0), new(9, 0));

    private static IEnumerable<TestCaseData> NewestKernels() => Cases(PtxBuild.Newest);

    [TestCaseSource(nameof(Kernels))]
    public void KeepsToRegisters(KernelEntry kernel, CudaArchitecture architecture) => PtxBuild.AssertNoSpills(kernel, architecture);

    [TestCaseSource(nameof(NewestKernels))]
    public void LoadsWideAndMultipliesOnTensorCores(KernelEntry kernel, CudaArchitecture architecture)
    {
        string machineCode = Ptxas.FindOrSkip().Disassemble(PtxBuild.Shared.Text(kernel, architecture), architecture);

        int loads = Regex.Count(machineCode, @"\bLDG\.E\.NA\.128\.CONSTANT\b");
        if (kernel.Method.Name == "PackedDecodeMatMul")
        {
            Assert.That(loads, Is.GreaterThanOrEqualTo(2), "one on its way while another is used");
            Assert.That(Regex.Count(machineCode, @"\bCCTL\.E\.PF2\b"), Is.Positive, "those after it brought into L2");
        }
        else
        {
            Assert.That(loads, Is.GreaterThanOrEqualTo(8), "four on their way before the first is used, four in the loop");
        }

        Assert.That(Regex.Count(machineCode, @"\bHMMA\.16816\.F32\b"), Is.GreaterThanOrEqualTo(4));
    }

    private static IEnumerable<TestCaseData> Cases(params CudaArchitecture[] architectures) =>
        PtxBuild.Cases(KernelCatalogue.All.Where(k => k.Method.Name is "DecodeMatMul" or "PackedDecodeMatMul"), architectures);
}
