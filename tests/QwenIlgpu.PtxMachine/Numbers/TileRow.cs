using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>Rows of accumulators, as doubles in the order of <see cref="TileOperands"/>' columns.</summary>
internal static class TileRow
{
    public const int Count = 16;

    /// <summary>Where row 2g + h begins, which is row g + 8h of the tile: 4g of register 2h; register 2h + 1 has its odd columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Start(int row) => ((row & 1) * 2 * Lanes.Count) + (4 * (row >> 1));

    /// <summary>What to add to <see cref="TileOperands.LeftOffset"/> for that row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LeftStart(int row) => ((row & 1) * Lanes.Count) + (4 * (row >> 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Load(ReadOnlySpan<float> c, int row)
    {
        int start = Start(row);
        Vector256<float> floats = Vector256.Create(
            Vector128.Create(c.Slice(start, 4)), Vector128.Create(c.Slice(start + Lanes.Count, 4)));
        (Vector256<double> even, Vector256<double> odd) = Vector256.Widen(floats);
        return Vector512.Create(even, odd);
    }

    /// <summary>Rounds to float; NaN becomes <see cref="CanonicalNaN.Single"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<double> sums, Span<float> d, int row)
    {
        int start = Start(row);
        Vector256<float> floats = Vector256.Narrow(sums.GetLower(), sums.GetUpper());
        Vector256<float> isNumber = Vector256.Equals(floats, floats);
        floats = Vector256.ConditionalSelect(isNumber, floats, Vector256.Create(CanonicalNaN.Single).AsSingle());
        floats.GetLower().CopyTo(d.Slice(start, 4));
        floats.GetUpper().CopyTo(d.Slice(start + Lanes.Count, 4));
    }
}
