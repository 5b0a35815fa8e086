using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>A 16-bit floating-point format, sixteen numbers at a time, each in the lower half of its word.</summary>
internal interface IHalfLanes
{
    /// <summary>Bits of the fraction.</summary>
    static abstract int FractionBits { get; }

    /// <summary>What the exponent field of 1.0 holds.</summary>
    static abstract int Bias { get; }

    /// <summary>The numbers, exactly; NaN becomes <see cref="CanonicalNaN.Single"/>. Upper halves are ignored.</summary>
    static abstract Vector512<float> Widen(Vector512<uint> bits);

    /// <summary>Rounded once to nearest, ties to even; NaN becomes <see cref="CanonicalNaN.Half"/>. Upper halves are zero.</summary>
    static abstract Vector512<uint> Narrow(Vector512<float> values);
}

/// <summary>The one NaN that arithmetic gives.</summary>
internal static class CanonicalNaN
{
    public const uint Single = 0x7fffffffu;

    public const uint Half = 0x7fffu;

    public const ulong Double = 0x7fffffffffffffffu;
}
