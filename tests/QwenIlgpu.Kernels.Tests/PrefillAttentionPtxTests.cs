using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Prefill attention as machine code: everything in registers, every loop over fragments unrolled.</summary>
[NonParallelizable]
internal sealed class PrefillAttentionPtxTests
{
    private static IEnumerable<TestCaseData> Kernels() => KernelCatalogue.All
        .Where(k => k.Method.Name is "PrefillAttention")
        .Select(k => new TestCaseData(k).SetArgDisplayNames(k.ToString()));

    [TestCaseSource(nameof(Kernels))]
    public void KeepsToRegistersAndTensorCores(KernelEntry kernel)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        foreach (CudaArchitecture architecture in PtxBuild.Architectures)
        {
            AssembledKernel used = ptxas.Assemble(PtxBuild.Shared.Text(kernel, architecture), architecture);

            TestContext.Out.WriteLine($"{architecture}: {used.Registers} registers, {used.LocalBytes} bytes of stack and spills");
            Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
        }

        foreach (CudaArchitecture architecture in new CudaArchitecture[] { new(8, 0), new(9, 0) })
        {
            string machineCode = ptxas.Disassemble(PtxBuild.Shared.Text(kernel, architecture), architecture);
            int products = Regex.Count(machineCode, @"\bHMMA\.16816\.F32\.BF16\b");
            int loads = Regex.Count(machineCode, @"\bLDSM\.16\.M");
            int copies = Regex.Count(machineCode, @"\bLDGSTS\.E\.BYPASS\.128\b");

            TestContext.Out.WriteLine($"{architecture}: HMMA {products}, LDSM {loads}, LDGSTS {copies}");
            Assert.That(products, Is.EqualTo(Dim(kernel)), "64 keys by a head for the scores, a head by 64 keys for the values");
            Assert.That(
                loads,
                Is.InRange(Dim(kernel) * 9 / 16, (Dim(kernel) * 9 / 16) + 4),
                "four a step of eight products, of scores one more for the queries, and four behind the last");
            Assert.That(copies, Is.GreaterThanOrEqualTo(8));
        }
    }

    private static int Dim(KernelEntry kernel) => 64 << Regex.Count(kernel.ToString(), "Twice");
}
