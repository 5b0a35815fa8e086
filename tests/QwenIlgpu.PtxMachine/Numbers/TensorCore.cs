using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// PTX's <c>mma.sync.aligned.m16n8k16</c> of f16 and bf16 and <c>.m16n8k8</c> of tf32, with f32 accumulators (warp-level matrix
/// multiply-accumulate, 9.7.14), of one warp. Operands are registers of 32 lanes, one after the other. Lane 4g + t holds
///
///     16-bit, A 16 × 16: 0 (g, 2t), 1 (g + 8, 2t), 2 (g, 2t + 8), 3 (g + 8, 2t + 8), the element to the right in the upper half
///     16-bit, B 16 × 8:  0 (2t, g), 1 (2t + 8, g), the element below in the upper half
///     tf32,   A 16 × 8:  0 (g, t), 1 (g + 8, t), 2 (g, t + 4), 3 (g + 8, t + 4)
///     tf32,   B 8 × 8:   0 (t, g), 1 (t + 4, g)
///     C and D 16 × 8:    0 (g, 2t), 1 (g, 2t + 1), 2 (g + 8, 2t), 3 (g + 8, 2t + 1)
///
/// Subnormals are kept. NaN, ∞ · 0 and ∞ − ∞ give <see cref="CanonicalNaN.Single"/>. A zero is −0 where all terms are. D may be C.
/// </summary>
/// <remarks>
/// What is here of special values and fragments is written from memory of PTX ISA 8.x; it was not compared with the manual.
/// </remarks>
internal static class TensorCore
{
    /// <summary>The bits of a word that tf32 has.</summary>
    public const uint Tf32Mask = 0xffffe000u;

    private const uint EveryFourth = 0x11111111u;

    /// <summary>m16n8k16.</summary>
    public static void MultiplyHalf(
        ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<float> c, Span<float> d, bool isBf16, TensorCoreSums sums)
    {
        if (isBf16)
            MultiplyHalf<Bf16Lanes>(a, b, c, d, sums);
        else
            MultiplyHalf<F16Lanes>(a, b, c, d, sums);
    }

    /// <summary>m16n8k8.</summary>
    [SkipLocalsInit]
    public static void MultiplyTf32(
        ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<float> c, Span<float> d, TensorCoreSums sums)
    {
        Span<double> left = stackalloc double[TileOperands.LeftCount];
        Span<double> right = stackalloc double[TileOperands.RightCount];
        TileOperands.LoadTf32(a, b, left, right);
        if (sums == TensorCoreSums.Cut)
            CutSums.Add(left, right, c, d, -126);
        else
            Round(ExponentRange.OfTf32(a), ExponentRange.OfTf32(b), left, right, c, d);
    }

    /// <summary>
    /// Undefined lanes of each register of D, given those of A, B and C, a bit a lane: an element is undefined where any is in its row
    /// of A or its column of B, or its own in C.
    /// </summary>
    public static void Taint(
        ReadOnlySpan<uint> aTaint, ReadOnlySpan<uint> bTaint, ReadOnlySpan<uint> cTaint, Span<uint> dTaint)
    {
        uint above = AnyOfFour(aTaint[0] | aTaint[2]) * 15;
        uint below = AnyOfFour(aTaint[1] | aTaint[3]) * 15;
        uint even = 0;
        uint odd = 0;
        uint columns = AnyOfFour(bTaint[0] | bTaint[1]);
        if (columns != 0)
        {
            for (int t = 0; t < 4; t++)
            {
                even |= ((columns >> (8 * t)) & 1) * (EveryFourth << t);
                odd |= ((columns >> ((8 * t) + 4)) & 1) * (EveryFourth << t);
            }
        }

        dTaint[0] = cTaint[0] | above | even;
        dTaint[1] = cTaint[1] | above | odd;
        dTaint[2] = cTaint[2] | below | even;
        dTaint[3] = cTaint[3] | below | odd;
    }

    [SkipLocalsInit]
    private static void MultiplyHalf<TFormat>(
        ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<float> c, Span<float> d, TensorCoreSums sums)
        where TFormat : struct, IHalfLanes
    {
        Span<double> left = stackalloc double[TileOperands.LeftCount];
        Span<double> right = stackalloc double[TileOperands.RightCount];
        TileOperands.LoadHalves<TFormat>(a, b, left, right);
        if (sums == TensorCoreSums.Cut)
            CutSums.Add(left, right, c, d, 1 - TFormat.Bias);
        else
            Round(ExponentRange.OfHalves<TFormat>(a), ExponentRange.OfHalves<TFormat>(b), left, right, c, d);
    }

    private static void Round(
        ExponentRange a, ExponentRange b, ReadOnlySpan<double> left, ReadOnlySpan<double> right, ReadOnlySpan<float> c, Span<float> d)
    {
        ExponentRange added = ExponentRange.OfFloats(MemoryMarshal.Cast<float, uint>(c));
        if (RoundedSums.FitDoubles(a, b, added))
            RoundedSums.AddFitting(left, right, c, d);
        else
            RoundedSums.AddAny(left, right, c, d);
    }

    private static uint AnyOfFour(uint lanes)
    {
        lanes |= lanes >> 1;
        lanes |= lanes >> 2;
        return lanes & EveryFourth;
    }
}
