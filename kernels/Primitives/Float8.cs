namespace QwenIlgpu.Kernels;

/// <summary>Eight consecutive floats of a row.</summary>
internal readonly struct Float8(Float4 low, Float4 high)
{
    public readonly Float4 Low = low;
    public readonly Float4 High = high;
}
