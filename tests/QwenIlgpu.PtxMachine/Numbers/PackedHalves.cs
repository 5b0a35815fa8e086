using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// Arithmetic on words of two 16-bit numbers, 32 lanes at a time: PTX's <c>add/sub/mul/fma.rn.{f16x2,bf16x2}</c> (half precision
/// floating point, 9.7.4). Every half is rounded once to nearest, ties to even; subnormals are kept; NaN is
/// <see cref="CanonicalNaN.Half"/>. Destinations may be sources.
/// </summary>
internal static class PackedHalves
{
    // A float's 24 bits are enough between: a sum of two p-bit numbers may be rounded to 2p + 1 bits first (p = 11 and 8), and where
    // the result is subnormal the sum is a multiple of its last bit.
    public static void Add<TFormat>(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<uint>.Count)
        {
            Vector512<uint> x = Lanes.Load(a, i);
            Vector512<uint> y = Lanes.Load(b, i);
            Store<TFormat>(
                TFormat.Widen(x) + TFormat.Widen(y), TFormat.Widen(x >> 16) + TFormat.Widen(y >> 16), d, i);
        }
    }

    public static void Subtract<TFormat>(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<uint>.Count)
        {
            Vector512<uint> x = Lanes.Load(a, i);
            Vector512<uint> y = Lanes.Load(b, i);
            Store<TFormat>(
                TFormat.Widen(x) - TFormat.Widen(y), TFormat.Widen(x >> 16) - TFormat.Widen(y >> 16), d, i);
        }
    }

    // Products of f16 have 22 bits and are floats. Products of bf16 have 16: those from 2^-134 on are floats, and the others become
    // no more than 2^-134, half of the least bf16 number, which goes to zero as they would have gone.
    public static void Multiply<TFormat>(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<uint>.Count)
        {
            Vector512<uint> x = Lanes.Load(a, i);
            Vector512<uint> y = Lanes.Load(b, i);
            Store<TFormat>(
                TFormat.Widen(x) * TFormat.Widen(y), TFormat.Widen(x >> 16) * TFormat.Widen(y >> 16), d, i);
        }
    }

    public static void Fma<TFormat>(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<uint> c, Span<uint> d)
        where TFormat : struct, IHalfLanes
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<uint>.Count)
        {
            Vector512<uint> x = Lanes.Load(a, i);
            Vector512<uint> y = Lanes.Load(b, i);
            Vector512<uint> z = Lanes.Load(c, i);
            Vector512<uint> low = Fma<TFormat>(x, y, z);
            Vector512<uint> high = Fma<TFormat>(x >> 16, y >> 16, z >> 16);
            Lanes.Store((high << 16) | low, d, i);
        }
    }

    // Not inlined: the compiler tracks no more variables than half of it has.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<uint> Fma<TFormat>(Vector512<uint> a, Vector512<uint> b, Vector512<uint> c)
        where TFormat : struct, IHalfLanes
    {
        (Vector512<double> aLow, Vector512<double> aHigh) = Vector512.Widen(TFormat.Widen(a));
        (Vector512<double> bLow, Vector512<double> bHigh) = Vector512.Widen(TFormat.Widen(b));
        (Vector512<double> cLow, Vector512<double> cHigh) = Vector512.Widen(TFormat.Widen(c));
        return Vector512.Narrow(Round<TFormat>(Fma(aLow, bLow, cLow)), Round<TFormat>(Fma(aHigh, bHigh, cHigh)));
    }

    // The product is exact. The sum is rounded to odd: what it lost decides its last bit, so that rounding it again loses nothing.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<double> Fma(Vector512<double> a, Vector512<double> b, Vector512<double> c)
    {
        Vector512<double> product = a * b;
        Vector512<double> sum = product + c;
        return OddSums.ToOdd(sum, OddSums.Lost(product, c, sum));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Round<TFormat>(Vector512<double> value)
        where TFormat : struct, IHalfLanes
    {
        int cut = 52 - TFormat.FractionBits;
        ulong infinity = (ulong)((2 * TFormat.Bias) + 1) << TFormat.FractionBits;
        ulong rebias = (ulong)(1023 - TFormat.Bias) << 52;
        double leastNormal = BitConverter.UInt64BitsToDouble(rebias + (1UL << 52));
        Vector512<ulong> magnitude = value.AsUInt64() & Vector512.Create(0x7fffffffffffffffUL);
        Vector512<ulong> odd = (magnitude >> cut) & Vector512<ulong>.One;
        Vector512<ulong> normal = (magnitude - Vector512.Create(rebias) + Vector512.Create((1UL << (cut - 1)) - 1) + odd) >> cut;

        // A double whose last bit is worth the format's least number: adding it rounds to a multiple of that.
        Vector512<double> unit = Vector512.Create(leastNormal * (1L << cut));
        Vector512<ulong> subnormal = (magnitude.AsDouble() + unit).AsUInt64() - unit.AsUInt64();
        Vector512<ulong> isSubnormal = Vector512.LessThan(magnitude.AsDouble(), Vector512.Create(leastNormal)).AsUInt64();
        Vector512<ulong> isNaN = ~Vector512.Equals(value, value).AsUInt64();
        Vector512<ulong> rounded = Vector512.ConditionalSelect(isSubnormal, subnormal, normal);
        rounded = Vector512.Min(rounded, Vector512.Create(infinity)) | ((value.AsUInt64() >> 48) & Vector512.Create(0x8000UL));
        return Vector512.ConditionalSelect(isNaN, Vector512.Create((ulong)CanonicalNaN.Half), rounded);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TFormat>(Vector512<float> low, Vector512<float> high, Span<uint> d, int first)
        where TFormat : struct, IHalfLanes => Lanes.Store((TFormat.Narrow(high) << 16) | TFormat.Narrow(low), d, first);
}
