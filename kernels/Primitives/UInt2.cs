namespace QwenIlgpu.Kernels;

/// <summary>Eight bytes that every accelerator loads at once. Views of it start at multiples of 8 bytes.</summary>
internal readonly struct UInt2(uint x, uint y)
{
    public readonly uint X = x;
    public readonly uint Y = y;
}
