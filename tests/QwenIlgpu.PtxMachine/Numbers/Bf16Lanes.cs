using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>bfloat16: the upper half of a float, 8 bits of exponent, 7 of fraction.</summary>
internal readonly struct Bf16Lanes : IHalfLanes
{
    private const uint Infinity = 0x7f800000u;

    public static int FractionBits => 7;

    public static int Bias => 127;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> bits)
    {
        Vector512<uint> value = bits << 16;
        return Vector512.ConditionalSelect(IsNaN(value), Vector512.Create(CanonicalNaN.Single), value).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Narrow(Vector512<float> values)
    {
        Vector512<uint> bits = values.AsUInt32();
        Vector512<uint> odd = (bits >> 16) & Vector512<uint>.One;
        Vector512<uint> rounded = (bits + Vector512.Create(0x7fffu) + odd) >> 16;
        return Vector512.ConditionalSelect(IsNaN(bits), Vector512.Create(CanonicalNaN.Half), rounded);
    }

    private static Vector512<uint> IsNaN(Vector512<uint> bits) =>
        Vector512.GreaterThan(bits & Vector512.Create(0x7fffffffu), Vector512.Create(Infinity));
}
