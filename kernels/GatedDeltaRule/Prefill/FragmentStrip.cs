using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Accumulators of 16 × 64 outputs of one warp: eight m16n8 fragments side by side.</summary>
internal readonly struct FragmentStrip(FragmentRow left, FragmentRow right)
{
    /// <summary>Columns 0 … 31.</summary>
    public readonly FragmentRow Left = left;

    /// <summary>Columns 32 … 63.</summary>
    public readonly FragmentRow Right = right;

    /// <summary>a: 16 × 16 f16; b0 … b48: B fragments of the columns from 0, 16, 32 and 48 on, each as ldmatrix gives two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public FragmentStrip MultiplyAdd(UInt4 a, UInt4 b0, UInt4 b16, UInt4 b32, UInt4 b48) =>
        new(Left.MultiplyAdd(a, b0, b16), Right.MultiplyAdd(a, b32, b48));

    /// <summary>Rounded to f16, as the A operand of a product along these 64 columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StripOperand ToOperand() =>
        new(Pack(Left.N0, Left.N8), Pack(Left.N16, Left.N24), Pack(Right.N0, Right.N8), Pack(Right.N16, Right.N24));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FragmentStrip operator *(FragmentStrip a, float b) => new(Multiply(a.Left, b), Multiply(a.Right, b));

    /// <summary>Each column times its factor; factors: pairs of floats, of which the strip's begin at first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public FragmentStrip TimesColumns(ArrayView<UInt2> factors, int first)
    {
        int place = first + (Group.IdxX & 3);
        return new FragmentStrip(TimesColumns(Left, factors, place), TimesColumns(Right, factors, place + 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FragmentRow TimesColumns(FragmentRow row, ArrayView<UInt2> factors, int place) => new(
        TimesPair(row.N0, factors[place]),
        TimesPair(row.N8, factors[place + 4]),
        TimesPair(row.N16, factors[place + 8]),
        TimesPair(row.N24, factors[place + 12]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 TimesPair(Float4 sums, UInt2 pair)
    {
        float even = Interop.IntAsFloat(pair.X);
        float odd = Interop.IntAsFloat(pair.Y);
        return new Float4(sums.X * even, sums.Y * odd, sums.Z * even, sums.W * odd);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FragmentRow Multiply(FragmentRow row, float b) => new(row.N0 * b, row.N8 * b, row.N16 * b, row.N24 * b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static UInt4 Pack(Float4 left, Float4 right) => new(
        F16x2.Pack(left.X, left.Y), F16x2.Pack(left.Z, left.W), F16x2.Pack(right.X, right.Y), F16x2.Pack(right.Z, right.W));
}

/// <summary>Accumulators of 16 × 32 outputs of one warp: four m16n8 fragments side by side.</summary>
internal readonly struct FragmentRow(Float4 n0, Float4 n8, Float4 n16, Float4 n24)
{
    public readonly Float4 N0 = n0;
    public readonly Float4 N8 = n8;
    public readonly Float4 N16 = n16;
    public readonly Float4 N24 = n24;

    /// <summary>a: 16 × 16 f16; left and right: the B fragments of columns 0 … 15 and 16 … 31, each as ldmatrix gives two.</summary>
    public FragmentRow MultiplyAdd(UInt4 a, UInt4 left, UInt4 right) => new(
        Mma.F16(a, new UInt2(left.X, left.Y), N0),
        Mma.F16(a, new UInt2(left.Z, left.W), N8),
        Mma.F16(a, new UInt2(right.X, right.Y), N16),
        Mma.F16(a, new UInt2(right.Z, right.W), N24));
}

/// <summary>A operand of 16 × 64 f16: the fragments of four m16n8k16 steps.</summary>
internal readonly struct StripOperand(UInt4 k0, UInt4 k16, UInt4 k32, UInt4 k48)
{
    public readonly UInt4 K0 = k0;
    public readonly UInt4 K16 = k16;
    public readonly UInt4 K32 = k32;
    public readonly UInt4 K48 = k48;

    /// <summary>The next step's fragment first: in a loop that is unrolled it costs nothing, where an index would need memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StripOperand Shifted() => new(K16, K32, K48, K0);
}

/// <summary>A warp's share of a state, transposed: 16 value columns × 64 keys, and as many more where heads are of 128.</summary>
internal readonly struct DeltaStateStrips(FragmentStrip first, FragmentStrip second)
{
    public readonly FragmentStrip First = first;
    public readonly FragmentStrip Second = second;

    /// <summary>One strip in, the first one out: after as many rounds as there are strips all are new and in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public DeltaStateStrips Appended<THeadDim>(FragmentStrip strip)
        where THeadDim : struct, IConstant => THeadDim.Value > 64 ? new(Second, strip) : new(strip, default);

    /// <summary>As the A operand of products along the keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StateOperand ToOperand() => new(First.ToOperand(), Second.ToOperand());
}

/// <summary>A state rounded to f16, for products along its keys.</summary>
internal readonly struct StateOperand(StripOperand first, StripOperand second)
{
    public readonly StripOperand First = first;
    public readonly StripOperand Second = second;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StateOperand Swapped() => new(Second, First);
}
