namespace QwenIlgpu.Kernels;

/// <summary>The 16-bit type of a tensor-core matmul's operands.</summary>
internal interface ITensorCoreOperand
{
    /// <summary>a · b + c of an m16n8k16 step.</summary>
    static abstract Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c);
}

internal readonly struct F16Operand : ITensorCoreOperand
{
    public static Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c) => Mma.F16(a, b, c);
}

internal readonly struct Bf16Operand : ITensorCoreOperand
{
    public static Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c) => Mma.Bf16(a, b, c);
}
