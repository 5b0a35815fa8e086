namespace QwenIlgpu.Kernels;

/// <summary>B operands of eight m16n8k16 products, as four ldmatrix give them.</summary>
internal readonly struct OperandFragments(UInt4 n0, UInt4 n16, UInt4 n32, UInt4 n48)
{
    public readonly UInt4 N0 = n0;
    public readonly UInt4 N16 = n16;
    public readonly UInt4 N32 = n32;
    public readonly UInt4 N48 = n48;
}
