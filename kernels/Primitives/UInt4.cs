namespace QwenIlgpu.Kernels;

/// <summary>Sixteen bytes that every accelerator loads at once. Views of it start at multiples of 16 bytes.</summary>
internal readonly struct UInt4(uint x, uint y, uint z, uint w)
{
    public readonly uint X = x;
    public readonly uint Y = y;
    public readonly uint Z = z;
    public readonly uint W = w;
}
