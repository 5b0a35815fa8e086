using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// D = A · B + C of one warp on the tensor cores, with f32 accumulators. Lane l = 4g + t holds
///
///     16-bit, A 16 × 16: X (g, 2t), Y (g + 8, 2t), Z (g, 2t + 8), W (g + 8, 2t + 8), each with the element to its right in the upper half
///     16-bit, B 16 × 8:  X (2t, g), Y (2t + 8, g), each with the element below in the upper half
///     C and D 16 × 8:    X (g, 2t), Y (g, 2t + 1), Z (g + 8, 2t), W (g + 8, 2t + 1)
///
/// The body gathers two rows of A and two columns of B in each lane and gives the exact sum of the products and C, rounded once; hardware
/// rounds more often and truncates.
/// </summary>
internal static class Mma
{
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 $d, $0, $1, $2;")]
    public static Float4 F16(UInt4 a, UInt2 b, Float4 c) => Multiply<F16Format>(a, b, c);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 $d, $0, $1, $2;")]
    public static Float4 Bf16(UInt4 a, UInt2 b, Float4 c) => Multiply<Bf16Format>(a, b, c);

    private static Float4 Multiply<TFormat>(UInt4 a, UInt2 b, Float4 c)
        where TFormat : struct, INumberFormat<ushort>
    {
        Put(a, b);
        FragmentLine above = RowOfA(0);
        FragmentLine below = RowOfA(1);
        FragmentLine left = ColumnOfB(0);
        FragmentLine right = ColumnOfB(1);
        return new Float4(
            ExactDot.Pairs<TFormat>(above, left, c.X),
            ExactDot.Pairs<TFormat>(above, right, c.Y),
            ExactDot.Pairs<TFormat>(below, left, c.Z),
            ExactDot.Pairs<TFormat>(below, right, c.W));
    }

    private static void Put(UInt4 a, UInt2 b)
    {
        LaneExchange.Begin();
        LaneExchange.Put(0, a.X);
        LaneExchange.Put(1, a.Y);
        LaneExchange.Put(2, a.Z);
        LaneExchange.Put(3, a.W);
        LaneExchange.Put(4, b.X);
        LaneExchange.Put(5, b.Y);
        LaneExchange.Synchronise();
    }

    // Row g of A or row g + 8: words 0 and 2 or 1 and 3 of the lanes 4g … 4g + 3.
    private static FragmentLine RowOfA(int half) => Line(LaneExchange.Lane >> 2, half, half + 2);

    // Column 2t of B or 2t + 1: words 4 and 5 of that column's four lanes.
    private static FragmentLine ColumnOfB(int side) => Line((2 * (LaneExchange.Lane & 3)) + side, 4, 5);

    private static FragmentLine Line(int four, int firstWord, int secondWord)
    {
        int lane = 4 * four;
        return new FragmentLine(
            new UInt4(
                LaneExchange.Get(lane, firstWord),
                LaneExchange.Get(lane + 1, firstWord),
                LaneExchange.Get(lane + 2, firstWord),
                LaneExchange.Get(lane + 3, firstWord)),
            new UInt4(
                LaneExchange.Get(lane, secondWord),
                LaneExchange.Get(lane + 1, secondWord),
                LaneExchange.Get(lane + 2, secondWord),
                LaneExchange.Get(lane + 3, secondWord)));
    }
}

/// <summary>A row of A or a column of B in the order of k, as eight words.</summary>
internal readonly struct FragmentLine(UInt4 first, UInt4 second)
{
    public readonly UInt4 First = first;
    public readonly UInt4 Second = second;

    public uint Word(int index)
    {
        UInt4 words = index < 4 ? First : Second;
        int place = index & 3;
        return place == 0 ? words.X : place == 1 ? words.Y : place == 2 ? words.Z : words.W;
    }
}
