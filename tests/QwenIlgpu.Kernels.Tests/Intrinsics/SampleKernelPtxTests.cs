using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Kernels of warps and tensor cores as machine code: the instructions they are written for, all of it in registers.</summary>
[NonParallelizable]
internal sealed class SampleKernelPtxTests
{
    private static readonly Lazy<Dictionary<string, string>> Texts = new(() => new Dictionary<string, string>
    {
        ["TensorCoreMatMul f16"] = MatMul<F16Operand>(),
        ["TensorCoreMatMul bf16"] = MatMul<Bf16Operand>(),
    });

    // A warp's 32 × 32 outputs take eight mma and four ldmatrix per 16 k, and a stage 32 k; a thread copies four words a stage.
    [TestCase("TensorCoreMatMul f16", "sm_80", "HMMA.16816.F32 16, LDSM.16.M88.4 8, LDGSTS.E.BYPASS.128 8")]
    [TestCase("TensorCoreMatMul f16", "sm_90", "HMMA.16816.F32 16, LDSM.16.M88.4 8, LDGSTS.E.BYPASS.128 8")]
    [TestCase("TensorCoreMatMul bf16", "sm_80", "HMMA.16816.F32.BF16 16, LDSM.16.M88.4 8, LDGSTS.E.BYPASS.128 8")]
    public void KeepsToRegistersAndItsInstructions(string kernel, string architecture, string mnemonics)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        CudaArchitecture target = InstructionPtxTests.ArchitectureOf(architecture);

        AssembledKernel used = ptxas.Assemble(Texts.Value[kernel], target);

        TestContext.Out.WriteLine($"{kernel}, {architecture}: {used.Registers} registers");
        Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
        string machineCode = ptxas.Disassemble(Texts.Value[kernel], target);
        foreach (string[] wanted in mnemonics.Split(", ").Select(m => m.Split(' ')))
            Assert.That(Regex.Count(machineCode, $@"\b{wanted[0]}\b"), Is.GreaterThanOrEqualTo(int.Parse(wanted[1], null)), wanted[0]);
    }

    [TestCase("TensorCoreMatMul f16", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 8)]
    [TestCase("TensorCoreMatMul f16", "ldmatrix.sync.aligned.m8n8.x4.shared.b16", 4)]
    [TestCase("TensorCoreMatMul f16", "cp.async.cg.shared.global", 8)]
    [TestCase("TensorCoreMatMul bf16", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 8)]
    public void WritesItsInstructions(string kernel, string mnemonic, int times)
    {
        string ptx = Texts.Value[kernel];

        Assert.That(ptx.Split(mnemonic).Length - 1, Is.EqualTo(times));
        Assert.That(ptx, Does.Not.Contain("__local_depot"));
    }

    private static string MatMul<TOperand>()
        where TOperand : struct, IOperand16 => Ptx.Of<TensorCoreMatMulKernel<TOperand>>(
            TensorCoreMatMulKernel<TOperand>.TensorCoreMatMul,
            TensorCoreMatMulKernel<TOperand>.GroupSize);
}
