using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>Accumulators of a warp's 16 rows by 16 dimensions: two m16n8 fragments side by side.</summary>
internal readonly struct OutputPair(Float4 left, Float4 right)
{
    public readonly Float4 Left = left;
    public readonly Float4 Right = right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair operator +(OutputPair a, OutputPair b) => new(a.Left + b.Left, a.Right + b.Right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair operator -(OutputPair a, OutputPair b) => new(a.Left - b.Left, a.Right - b.Right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair MultiplyAdd(OutputPair pair, UInt4 weights, UInt4 values) => new(
        Mma.Bf16(weights, new UInt2(values.X, values.Y), pair.Left), Mma.Bf16(weights, new UInt2(values.Z, values.W), pair.Right));

    /// <summary>Rows g by one factor, rows g + 8 by another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair Scaled(OutputPair pair, float above, float below) => new(
        new Float4(pair.Left.X * above, pair.Left.Y * above, pair.Left.Z * below, pair.Left.W * below),
        new Float4(pair.Right.X * above, pair.Right.Y * above, pair.Right.Z * below, pair.Right.W * below));

    /// <summary>zeros: added to all, rows g and g + 8 as they lie in a fragment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair Turned(OutputPair pair, Float4 zeros)
    {
        Float4 left = Turned(pair.Left + zeros);
        Float4 right = Turned(pair.Right + zeros);
        return new OutputPair(left + right, left - right);
    }

    // Of eight dimensions: a lane has two neighbours, the three lanes beside it the others.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Turned(Float4 x) =>
        TurnedByLanes(TurnedByLanes(new Float4(x.X + x.Y, x.X - x.Y, x.Z + x.W, x.Z - x.W), 1), 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 TurnedByLanes(Float4 x, int step)
    {
        var others = new Float4(WarpShuffle.Xor(x.X, step), WarpShuffle.Xor(x.Y, step), WarpShuffle.Xor(x.Z, step), WarpShuffle.Xor(x.W, step));
        return Float32.Fma(x, (Group.IdxX & step) == 0 ? 1 : -1, others);
    }
}

/// <summary>Accumulators of a warp's 16 rows by 64 dimensions.</summary>
internal readonly struct OutputTile64(OutputPair p0, OutputPair p16, OutputPair p32, OutputPair p48) : IOutputTile<OutputTile64>
{
    public readonly OutputPair P0 = p0;
    public readonly OutputPair P16 = p16;
    public readonly OutputPair P32 = p32;
    public readonly OutputPair P48 = p48;

    public static int Dim => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 operator +(OutputTile64 a, OutputTile64 b) => new(a.P0 + b.P0, a.P16 + b.P16, a.P32 + b.P32, a.P48 + b.P48);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 operator -(OutputTile64 a, OutputTile64 b) => new(a.P0 - b.P0, a.P16 - b.P16, a.P32 - b.P32, a.P48 - b.P48);

    /// <summary>weights: 16 × 16; values: 64 dimensions of 16 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 MultiplyAdd(OutputTile64 tile, UInt4 weights, OperandFragments values) => new(
        OutputPair.MultiplyAdd(tile.P0, weights, values.N0),
        OutputPair.MultiplyAdd(tile.P16, weights, values.N16),
        OutputPair.MultiplyAdd(tile.P32, weights, values.N32),
        OutputPair.MultiplyAdd(tile.P48, weights, values.N48));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 First(OutputTile64 tile) => tile;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 Shift(OutputTile64 tile, OutputTile64 last) => last;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 Scaled(OutputTile64 tile, float above, float below) => new(
        OutputPair.Scaled(tile.P0, above, below),
        OutputPair.Scaled(tile.P16, above, below),
        OutputPair.Scaled(tile.P32, above, below),
        OutputPair.Scaled(tile.P48, above, below));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 Turned(OutputTile64 tile, Float4 zeros)
    {
        OutputPair p0 = OutputPair.Turned(tile.P0, zeros);
        OutputPair p16 = OutputPair.Turned(tile.P16, zeros);
        OutputPair p32 = OutputPair.Turned(tile.P32, zeros);
        OutputPair p48 = OutputPair.Turned(tile.P48, zeros);
        (p0, p16, p32, p48) = (p0 + p16, p0 - p16, p32 + p48, p32 - p48);
        return new OutputTile64(p0 + p32, p16 + p48, p0 - p32, p16 - p48);
    }
}

/// <summary>
/// Accumulators of a warp's 16 rows by a whole head, as a ring of 64 dimensions each: a loop takes the first and puts it back behind the
/// last, and after Dim / 64 turns each is where it was. Unrolled, the ring costs nothing.
/// </summary>
internal interface IOutputTile<TSelf>
    where TSelf : struct, IOutputTile<TSelf>
{
    static abstract int Dim { get; }

    static abstract OutputTile64 First(TSelf tile);

    /// <summary>Without the first, and with another behind the last.</summary>
    static abstract TSelf Shift(TSelf tile, OutputTile64 last);

    static abstract TSelf Scaled(TSelf tile, float above, float below);

    /// <summary>
    /// The Hadamard transform of the head, times √Dim, after zeros were added to all its dimensions; zeros: of rows g and g + 8 as they lie
    /// in a fragment.
    /// </summary>
    static abstract TSelf Turned(TSelf tile, Float4 zeros);

    static abstract TSelf operator +(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a, TSelf b);
}

/// <summary>Twice as many dimensions.</summary>
internal readonly struct Twice<THalf>(THalf left, THalf right) : IOutputTile<Twice<THalf>>
    where THalf : struct, IOutputTile<THalf>
{
    public readonly THalf Left = left;
    public readonly THalf Right = right;

    public static int Dim => 2 * THalf.Dim;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> operator +(Twice<THalf> a, Twice<THalf> b) => new(a.Left + b.Left, a.Right + b.Right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> operator -(Twice<THalf> a, Twice<THalf> b) => new(a.Left - b.Left, a.Right - b.Right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 First(Twice<THalf> tile) => THalf.First(tile.Left);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> Shift(Twice<THalf> tile, OutputTile64 last) =>
        new(THalf.Shift(tile.Left, THalf.First(tile.Right)), THalf.Shift(tile.Right, last));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> Scaled(Twice<THalf> tile, float above, float below) =>
        new(THalf.Scaled(tile.Left, above, below), THalf.Scaled(tile.Right, above, below));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> Turned(Twice<THalf> tile, Float4 zeros)
    {
        THalf left = THalf.Turned(tile.Left, zeros);
        THalf right = THalf.Turned(tile.Right, zeros);
        return new(left + right, left - right);
    }
}

/// <summary>Gates of a lane's dimensions of 64: two of every eight. All are loaded before the first is needed.</summary>
internal readonly struct GatePairs(Float2 g0, Float2 g8, Float2 g16, Float2 g24, Float2 g32, Float2 g40, Float2 g48, Float2 g56)
{
    public readonly Float2 G0 = g0;
    public readonly Float2 G8 = g8;
    public readonly Float2 G16 = g16;
    public readonly Float2 G24 = g24;
    public readonly Float2 G32 = g32;
    public readonly Float2 G40 = g40;
    public readonly Float2 G48 = g48;
    public readonly Float2 G56 = g56;

    /// <summary>pairs: [32], the lane's own first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GatePairs Load(ArrayView<Float2> pairs) =>
        new(pairs[0], pairs[4], pairs[8], pairs[12], pairs[16], pairs[20], pairs[24], pairs[28]);

    /// <summary>Rows g of an output tile, times scale and the sigmoid of their gates.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreAbove(ArrayView<Float2> pairs, OutputTile64 tile, float scale, GatePairs gates)
    {
        pairs[0] = Gated(tile.P0.Left.X, tile.P0.Left.Y, scale, gates.G0);
        pairs[4] = Gated(tile.P0.Right.X, tile.P0.Right.Y, scale, gates.G8);
        pairs[8] = Gated(tile.P16.Left.X, tile.P16.Left.Y, scale, gates.G16);
        pairs[12] = Gated(tile.P16.Right.X, tile.P16.Right.Y, scale, gates.G24);
        pairs[16] = Gated(tile.P32.Left.X, tile.P32.Left.Y, scale, gates.G32);
        pairs[20] = Gated(tile.P32.Right.X, tile.P32.Right.Y, scale, gates.G40);
        pairs[24] = Gated(tile.P48.Left.X, tile.P48.Left.Y, scale, gates.G48);
        pairs[28] = Gated(tile.P48.Right.X, tile.P48.Right.Y, scale, gates.G56);
    }

    /// <summary>Rows g + 8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBelow(ArrayView<Float2> pairs, OutputTile64 tile, float scale, GatePairs gates)
    {
        pairs[0] = Gated(tile.P0.Left.Z, tile.P0.Left.W, scale, gates.G0);
        pairs[4] = Gated(tile.P0.Right.Z, tile.P0.Right.W, scale, gates.G8);
        pairs[8] = Gated(tile.P16.Left.Z, tile.P16.Left.W, scale, gates.G16);
        pairs[12] = Gated(tile.P16.Right.Z, tile.P16.Right.W, scale, gates.G24);
        pairs[16] = Gated(tile.P32.Left.Z, tile.P32.Left.W, scale, gates.G32);
        pairs[20] = Gated(tile.P32.Right.Z, tile.P32.Right.W, scale, gates.G40);
        pairs[24] = Gated(tile.P48.Left.Z, tile.P48.Left.W, scale, gates.G48);
        pairs[28] = Gated(tile.P48.Right.Z, tile.P48.Right.W, scale, gates.G56);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float2 Gated(float x, float y, float scale, Float2 gate) => new(
        x * scale * Float32.Reciprocal(1 + XMath.Exp(-gate.X)), y * scale * Float32.Reciprocal(1 + XMath.Exp(-gate.Y)));
}
