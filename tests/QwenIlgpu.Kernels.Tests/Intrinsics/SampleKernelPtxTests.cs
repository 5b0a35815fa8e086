namespace QwenIlgpu.Kernels.Tests;

/// <summary>The kernels on tensor cores and warps as machine code: the instructions they are written for, all in registers.</summary>
[NonParallelizable]
internal sealed class SampleKernelPtxTests
{
    private static readonly string MatMul =
        Ptx.Of<TensorCoreMatMulKernel<F16Operand, TensorCoreSteps>>(TensorCoreMatMulKernel<F16Operand, TensorCoreSteps>.TensorCoreMatMul, 128);

    private static readonly string MatVec = Ptx.Of<DequantMatVecKernel<F16Format>>(DequantMatVecKernel<F16Format>.DequantMatVec, 128);

    [Test]
    public void Dump()
    {
        foreach (var (n, p) in new[] { ("matmul", MatMul), ("matvec", MatVec) })
        {
            var a = Assembler.Assemble(p, "sm_80");
            Console.WriteLine($"{n}: regs {a.Registers} stack {a.StackBytes} spill {a.SpillBytes} depot {p.Contains("__local_depot")} " + string.Join(" ", new[] { "HMMA", "LDSM", "LDGSTS", "LDG", "LOP3", "HFMA2", "SHFL", "LDL", "STL", "LDS", "BAR", "HADD2" }.Select(x => $"{x}={a.Count(x)}")));
            File.WriteAllText($"/tmp/intr/{n}.ptx", p); File.WriteAllText($"/tmp/intr/{n}.sass", a.Sass);
        }
    }
}
