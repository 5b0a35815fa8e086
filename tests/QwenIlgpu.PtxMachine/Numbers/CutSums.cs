using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// The sums of an mma as hardware that cuts would form them: <see cref="TensorCoreSums.Cut"/>. The exponent of a product is the sum of
/// its operands', so that its significand lies in [1, 4); a subnormal operand has the exponent of its format's least normal number;
/// zeros have none. E is the largest exponent among an element's products and accumulator. Each of these terms is cut toward zero to a
/// multiple of 2^(E − 23), they are added exactly, and the sum is cut toward zero to a float. From 2^128 on it is infinite. Where a term
/// is no finite number the sum is the IEEE one.
/// </summary>
internal static class CutSums
{
    private const double Kept = 1 << 23;
    private const int FloatEmin = -126;

    // Stands for "no exponent" where all terms are zeros: below every product's.
    private static readonly double NoExponent = Math.ScaleB(1, -500);

    /// <param name="emin">The exponent of the least normal number of the operands' format.</param>
    public static void Add(ReadOnlySpan<double> left, ReadOnlySpan<double> right, ReadOnlySpan<float> c, Span<float> d, int emin)
    {
        Span<double> leftScales = stackalloc double[TileOperands.LeftCount];
        Span<double> rightScales = stackalloc double[TileOperands.RightCount];
        double least = Math.ScaleB(1, emin);
        for (int i = 0; i < left.Length; i += Vector512<double>.Count)
            Lanes.Store(Scale(Lanes.Load(left, i), least), leftScales, i);
        for (int i = 0; i < right.Length; i += Vector512<double>.Count)
            Lanes.Store(Scale(Lanes.Load(right, i), least), rightScales, i);
        for (int row = 0; row < TileRow.Count; row++)
            AddRow(left, right, leftScales, rightScales, c, d, row);
    }

    private static void AddRow(
        ReadOnlySpan<double> left,
        ReadOnlySpan<double> right,
        ReadOnlySpan<double> leftScales,
        ReadOnlySpan<double> rightScales,
        ReadOnlySpan<float> c,
        Span<float> d,
        int row)
    {
        Vector512<double> start = TileRow.Load(c, row);
        Vector512<double> plain = start;
        Vector512<double> largest = Vector512.Max(Scale(start, Math.ScaleB(1, FloatEmin)), Vector512.Create(NoExponent));
        for (int i = 0; i < TileOperands.Depth; i++)
        {
            int element = TileRow.LeftStart(row) + TileOperands.LeftOffset(i);
            int column = i * Vector512<double>.Count;
            largest = Vector512.Max(largest, Vector512.Create(leftScales[element]) * Lanes.Load<double>(rightScales, column));
            plain += Vector512.Create(left[element]) * Lanes.Load(right, column);
        }

        // Powers of two and what they scale are exact.
        Vector512<double> steps = Vector512.Create(Kept) / largest;
        Vector512<double> sum = Vector512.Truncate(start * steps);
        for (int i = 0; i < TileOperands.Depth; i++)
        {
            Vector512<double> element = Vector512.Create(left[TileRow.LeftStart(row) + TileOperands.LeftOffset(i)]);
            sum += Vector512.Truncate(element * Lanes.Load(right, i * Vector512<double>.Count) * steps);
        }

        Vector512<double> isFinite = Vector512.Equals(plain - plain, Vector512<double>.Zero);
        TileRow.Store(Vector512.ConditionalSelect(isFinite, CutToFloat(sum / steps), plain), d, row);
    }

    // 2 to the exponent of each value, zero for zeros; of infinity and NaN something that is not used.
    private static Vector512<double> Scale(Vector512<double> value, double least)
    {
        Vector512<double> scale = (value.AsUInt64() & Vector512.Create(0x7ff0000000000000UL)).AsDouble();
        scale = Vector512.Max(scale, Vector512.Create(least));
        return Vector512.ConditionalSelect(Vector512.Equals(value, Vector512<double>.Zero), Vector512<double>.Zero, scale);
    }

    private static Vector512<double> CutToFloat(Vector512<double> sum)
    {
        Vector512<double> normal = (sum.AsUInt64() & Vector512.Create(~0x1fffffffUL)).AsDouble();
        Vector512<double> perUnit = Vector512.Create(Math.ScaleB(1, 149));
        Vector512<double> subnormal = Vector512.Truncate(sum * perUnit) / perUnit;
        Vector512<double> isSubnormal = Vector512.LessThan(Vector512.Abs(sum), Vector512.Create(Math.ScaleB(1, FloatEmin)));
        return Vector512.ConditionalSelect(isSubnormal, subnormal, normal);
    }
}
