using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>IEEE binary16: 5 bits of exponent, 10 of fraction.</summary>
internal readonly struct F16Lanes : IHalfLanes
{
    private const uint HalfInfinity = 0x7c00u;
    private const uint LeastHalfNormal = 0x0400u;
    private const uint Rebias = (127u - 15u) << 23;

    // As floats: 65520, from which rounding gives infinity; 2^-14, the least normal number; 0.5, whose last bit is worth 2^-24.
    private const uint Overflow = 0x477ff000u;
    private const uint LeastNormal = 0x38800000u;
    private const uint OneHalf = 0x3f000000u;
    private const uint Infinity = 0x7f800000u;

    public static int FractionBits => 10;

    public static int Bias => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> bits)
    {
        Vector512<uint> magnitude = bits & Vector512.Create(0x7fffu);
        Vector512<uint> normal = (magnitude << 13) + Vector512.Create(Rebias);
        Vector512<float> subnormal = Vector512.ConvertToSingle(magnitude.AsInt32()) * Vector512.Create(1f / (1 << 24));
        Vector512<uint> isSubnormal = Vector512.LessThan(magnitude, Vector512.Create(LeastHalfNormal));
        Vector512<uint> isInfinite = Vector512.Equals(magnitude, Vector512.Create(HalfInfinity));
        Vector512<uint> isNaN = Vector512.GreaterThan(magnitude, Vector512.Create(HalfInfinity));
        Vector512<uint> value = Vector512.ConditionalSelect(isSubnormal, subnormal.AsUInt32(), normal);
        value = Vector512.ConditionalSelect(isInfinite, Vector512.Create(Infinity), value);
        value |= (bits & Vector512.Create(0x8000u)) << 16;
        return Vector512.ConditionalSelect(isNaN, Vector512.Create(CanonicalNaN.Single), value).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Narrow(Vector512<float> values)
    {
        Vector512<uint> bits = values.AsUInt32();
        Vector512<uint> magnitude = bits & Vector512.Create(0x7fffffffu);
        Vector512<uint> odd = (magnitude >> 13) & Vector512<uint>.One;
        Vector512<uint> normal = (magnitude - Vector512.Create(Rebias) + Vector512.Create(0xfffu) + odd) >> 13;

        // The addition rounds to a multiple of 2^-24, and what it adds to 0.5's bits is how many.
        Vector512<uint> subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(OneHalf);
        Vector512<uint> isSubnormal = Vector512.LessThan(magnitude, Vector512.Create(LeastNormal));
        Vector512<uint> overflows = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(Overflow));
        Vector512<uint> isNaN = Vector512.GreaterThan(magnitude, Vector512.Create(Infinity));
        Vector512<uint> value = Vector512.ConditionalSelect(isSubnormal, subnormal, normal);
        value = Vector512.ConditionalSelect(overflows, Vector512.Create(HalfInfinity), value);
        value |= (bits >> 16) & Vector512.Create(0x8000u);
        return Vector512.ConditionalSelect(isNaN, Vector512.Create(CanonicalNaN.Half), value);
    }
}
