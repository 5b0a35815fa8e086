using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// Conversions between f32 and the short formats, 32 lanes at a time, as PTX's <c>cvt</c> makes them (data movement and conversion,
/// 9.7.9). Destinations may be sources.
/// </summary>
internal static class HalfConversions
{
    private const uint Infinity = 0x7f800000u;

    /// <summary><c>cvt.f32.f16</c> of the lower halves.</summary>
    public static void F16ToF32(ReadOnlySpan<uint> a, Span<float> d) => Widen<F16Lanes>(a, d);

    /// <summary><c>cvt.f32.bf16</c> of the lower halves.</summary>
    public static void Bf16ToF32(ReadOnlySpan<uint> a, Span<float> d) => Widen<Bf16Lanes>(a, d);

    /// <summary><c>cvt.rn.f16.f32</c> into the lower halves; upper halves become zero.</summary>
    public static void F32ToF16(ReadOnlySpan<float> a, Span<uint> d) => Narrow<F16Lanes>(a, d);

    /// <summary><c>cvt.rn.bf16.f32</c> into the lower halves; upper halves become zero.</summary>
    public static void F32ToBf16(ReadOnlySpan<float> a, Span<uint> d) => Narrow<Bf16Lanes>(a, d);

    /// <summary><c>cvt.rn.f16x2.f32 d, high, low</c>.</summary>
    public static void PackF16(ReadOnlySpan<float> high, ReadOnlySpan<float> low, Span<uint> d) => Pack<F16Lanes>(high, low, d);

    /// <summary><c>cvt.rn.bf16x2.f32 d, high, low</c>.</summary>
    public static void PackBf16(ReadOnlySpan<float> high, ReadOnlySpan<float> low, Span<uint> d) => Pack<Bf16Lanes>(high, low, d);

    /// <summary><c>cvt.rna.tf32.f32</c>: to nearest, ties away from zero; the lower 13 bits are zero but for NaN.</summary>
    public static void F32ToTf32(ReadOnlySpan<float> a, Span<uint> d)
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
        {
            Vector512<uint> bits = Lanes.Load(a, i).AsUInt32();
            Vector512<uint> magnitude = bits & Vector512.Create(0x7fffffffu);
            Vector512<uint> rounded = (bits + Vector512.Create(0x1000u)) & Vector512.Create(0xffffe000u);
            Vector512<uint> isNaN = Vector512.GreaterThan(magnitude, Vector512.Create(Infinity));
            Lanes.Store(Vector512.ConditionalSelect(isNaN, Vector512.Create(CanonicalNaN.Single), rounded), d, i);
        }
    }

    private static void Widen<TFormat>(ReadOnlySpan<uint> a, Span<float> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
            Lanes.Store(TFormat.Widen(Lanes.Load(a, i)), d, i);
    }

    private static void Narrow<TFormat>(ReadOnlySpan<float> a, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
            Lanes.Store(TFormat.Narrow(Lanes.Load(a, i)), d, i);
    }

    private static void Pack<TFormat>(ReadOnlySpan<float> high, ReadOnlySpan<float> low, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
            Lanes.Store((TFormat.Narrow(Lanes.Load(high, i)) << 16) | TFormat.Narrow(Lanes.Load(low, i)), d, i);
    }
}
