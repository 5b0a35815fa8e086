namespace QwenIlgpu.Kernels;

/// <summary>What top-p keeps: every token that ranks at the cutoff or before it, and the sum of their masses.</summary>
internal readonly struct Nucleus(ulong cutoff, double mass)
{
    public readonly ulong Cutoff = cutoff;
    public readonly double Mass = mass;
}
