using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>The sums of an mma, exact and rounded once to nearest, ties to even: <see cref="TensorCoreSums.RoundedOnce"/>.</summary>
internal static class RoundedSums
{
    // Every product of two operands, and every float, is a multiple of 2^-300.
    private const int WideUnit = -300;

    /// <summary>Whether no sum of products and accumulator loses anything in doubles, in whatever order it is formed.</summary>
    public static bool FitDoubles(ExponentRange a, ExponentRange b, ExponentRange c)
    {
        if (!(a.IsFinite && b.IsFinite && c.IsFinite))
            return false;

        // Every term is a multiple of 2^u, u = min(a.Unit + b.Unit, c.Unit). Sixteen products stay below 2^(a.Top + b.Top + 4) and the
        // accumulator below 2^c.Top, so every partial sum below 2^(1 + the greater). Multiples of 2^u below 2^(u + 53) are doubles.
        int unit = Math.Min(a.Unit + b.Unit, c.Unit);
        int top = 1 + Math.Max(a.Top + b.Top + 4, c.Top);
        return top <= unit + 53;
    }

    /// <summary>Where <see cref="FitDoubles"/>: the doubles are the sums, and rounding them to float is the only rounding.</summary>
    public static void AddFitting(ReadOnlySpan<double> left, ReadOnlySpan<double> right, ReadOnlySpan<float> c, Span<float> d)
    {
        ref double elements = ref MemoryMarshal.GetReference(left[..TileOperands.LeftCount]);
        ref double columns = ref MemoryMarshal.GetReference(right[..TileOperands.RightCount]);
        for (int row = 0; row < TileRow.Count; row += 4)
        {
            Vector512<double> sum0 = TileRow.Load(c, row);
            Vector512<double> sum1 = TileRow.Load(c, row + 1);
            Vector512<double> sum2 = TileRow.Load(c, row + 2);
            Vector512<double> sum3 = TileRow.Load(c, row + 3);
            for (int i = 0; i < TileOperands.Depth; i++)
            {
                Vector512<double> column = Vector512.LoadUnsafe(ref columns, (nuint)(i * Vector512<double>.Count));
                ref double element = ref Unsafe.Add(ref elements, TileOperands.LeftOffset(i));
                sum0 = Vector512.MultiplyAddEstimate(Element(ref element, row), column, sum0);
                sum1 = Vector512.MultiplyAddEstimate(Element(ref element, row + 1), column, sum1);
                sum2 = Vector512.MultiplyAddEstimate(Element(ref element, row + 2), column, sum2);
                sum3 = Vector512.MultiplyAddEstimate(Element(ref element, row + 3), column, sum3);
            }

            TileRow.Store(sum0, d, row);
            TileRow.Store(sum1, d, row + 1);
            TileRow.Store(sum2, d, row + 2);
            TileRow.Store(sum3, d, row + 3);
        }
    }

    /// <summary>
    /// For all operands: what each addition lost is summed beside, and where that sum loses as well, the whole is formed again in
    /// integers.
    /// </summary>
    public static void AddAny(ReadOnlySpan<double> left, ReadOnlySpan<double> right, ReadOnlySpan<float> c, Span<float> d)
    {
        for (int row = 0; row < TileRow.Count; row++)
        {
            Vector512<double> start = TileRow.Load(c, row);
            Vector512<double> sum = start;
            Vector512<double> rest = Vector512<double>.Zero;
            Vector512<double> lost = Vector512<double>.Zero;
            for (int i = 0; i < TileOperands.Depth; i++)
            {
                Vector512<double> element = Vector512.Create(left[TileRow.LeftStart(row) + TileOperands.LeftOffset(i)]);
                Vector512<double> product = element * Lanes.Load(right, i * Vector512<double>.Count);
                Vector512<double> nextSum = sum + product;
                Vector512<double> error = OddSums.Lost(sum, product, nextSum);
                Vector512<double> nextRest = rest + error;
                lost |= Vector512.Abs(OddSums.Lost(rest, error, nextRest));
                sum = nextSum;
                rest = nextRest;
            }

            Vector512<double> isFinite = Vector512.Equals(sum - sum, Vector512<double>.Zero);
            Vector512<double> whole = sum + rest;
            whole = OddSums.ToOdd(whole, OddSums.Lost(sum, rest, whole));

            // A sum that lost nothing keeps its sign if it is zero; of one that is no number nothing else remains.
            Vector512<double> isWhole = isFinite & ~Vector512.Equals(rest, Vector512<double>.Zero);
            whole = Vector512.ConditionalSelect(isWhole, whole, sum);
            Vector512<double> isLost = isFinite & ~Vector512.Equals(lost, Vector512<double>.Zero);
            for (ulong columns = isLost.ExtractMostSignificantBits(); columns != 0; columns &= columns - 1)
            {
                int column = BitOperations.TrailingZeroCount(columns);
                whole = whole.WithElement(column, Wide(left[TileRow.LeftStart(row)..], right[column..], start[column]));
            }

            TileRow.Store(whole, d, row);
        }
    }

    // The sum of one element, rounded to odd.
    private static double Wide(ReadOnlySpan<double> row, ReadOnlySpan<double> column, double start)
    {
        BigInteger sum = InUnits(start);
        for (int i = 0; i < TileOperands.Depth; i++)
            sum += InUnits(row[TileOperands.LeftOffset(i)] * column[i * Vector512<double>.Count]);
        BigInteger magnitude = BigInteger.Abs(sum);
        int shift = Math.Max(0, (int)magnitude.GetBitLength() - 53);
        BigInteger leading = magnitude >> shift;
        if (leading << shift != magnitude)
            leading |= BigInteger.One;
        return sum.Sign * Math.ScaleB((double)leading, shift + WideUnit);
    }

    private static BigInteger InUnits(double value) => new(Math.ScaleB(value, -WideUnit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<double> Element(ref double element, int row) =>
        Vector512.Create(Unsafe.Add(ref element, TileRow.LeftStart(row)));
}
