using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// The operands of one mma as doubles, in the order that sums want. Element i of sixteen of the row of lanes 4g to 4g + 3 lies at
/// <see cref="LeftOffset"/>(i) + 4g of the left operand, 32 further for the rows from 8 on; element i of all columns lies at 8i of the
/// right one, columns 0, 2, 4, 6 before 1, 3, 5, 7: those that accumulator registers hold side by side.
/// </summary>
internal static class TileOperands
{
    public const int LeftCount = 256;

    public const int RightCount = 128;

    /// <summary>Products of a sum.</summary>
    public const int Depth = 16;

    private const int Columns = 8;

    // Sixteen-bit registers hold elements 8h + 4r + t in half h of register pair r of lane t; which comes first changes no exact sum.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LeftOffset(int i) => ((i >> 3) * 128) + (((i >> 2) & 1) * 64) + (i & 3);

    public static void LoadHalves<TFormat>(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<double> left, Span<double> right)
        where TFormat : struct, IHalfLanes
    {
        Span<uint> columns = stackalloc uint[RightCount / 2];
        Gather(b, columns);
        SplitHalves<TFormat>(a[..(LeftCount / 2)], left);
        SplitHalves<TFormat>(columns, right);
    }

    /// <summary>The eight products of tf32; the other eight are −0, which changes no sum.</summary>
    public static void LoadTf32(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, Span<double> left, Span<double> right)
    {
        Span<uint> columns = stackalloc uint[RightCount / 2];
        Gather(b, columns);
        WidenTf32(a[..(LeftCount / 2)], left);
        WidenTf32(columns, right);
        left[(LeftCount / 2)..].Fill(-0.0);
        right[(RightCount / 2)..].Clear();
    }

    // Two registers' words by element and column.
    private static void Gather(ReadOnlySpan<uint> b, Span<uint> columns)
    {
        b = b[..(2 * Lanes.Count)];
        for (int pair = 0; pair < 2; pair++)
        {
            for (int t = 0; t < 4; t++)
            {
                Span<uint> row = columns.Slice(((4 * pair) + t) * Columns, Columns);
                for (int j = 0; j < Columns; j++)
                    row[j] = b[(pair * Lanes.Count) + (4 * (((2 * j) & 7) | (j >> 2))) + t];
            }
        }
    }

    private static void SplitHalves<TFormat>(ReadOnlySpan<uint> words, Span<double> values)
        where TFormat : struct, IHalfLanes
    {
        Span<double> upper = values[words.Length..];
        for (int i = 0; i < words.Length; i += Vector512<uint>.Count)
        {
            Vector512<uint> word = Lanes.Load(words, i);
            StoreWide(TFormat.Widen(word), values, i);
            StoreWide(TFormat.Widen(word >> 16), upper, i);
        }
    }

    private static void WidenTf32(ReadOnlySpan<uint> words, Span<double> values)
    {
        for (int i = 0; i < words.Length; i += Vector512<uint>.Count)
            StoreWide((Lanes.Load(words, i) & Vector512.Create(TensorCore.Tf32Mask)).AsSingle(), values, i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreWide(Vector512<float> value, Span<double> values, int first)
    {
        (Vector512<double> lower, Vector512<double> upper) = Vector512.Widen(value);
        Lanes.Store(lower, values, first);
        Lanes.Store(upper, values, first + Vector512<double>.Count);
    }
}
