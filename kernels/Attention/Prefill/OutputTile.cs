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
    public static OutputPair MultiplyAdd(OutputPair pair, UInt4 weights, UInt4 values) => new(
        Mma.Bf16(weights, new UInt2(values.X, values.Y), pair.Left), Mma.Bf16(weights, new UInt2(values.Z, values.W), pair.Right));

    /// <summary>Rows g by one factor, rows g + 8 by another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputPair Scaled(OutputPair pair, float above, float below) => new(
        new Float4(pair.Left.X * above, pair.Left.Y * above, pair.Left.Z * below, pair.Left.W * below),
        new Float4(pair.Right.X * above, pair.Right.Y * above, pair.Right.Z * below, pair.Right.W * below));
}

/// <summary>Accumulators of a warp's 16 rows by 64 dimensions.</summary>
internal readonly struct OutputTile64(OutputPair p0, OutputPair p16, OutputPair p32, OutputPair p48) : IOutputTile<OutputTile64>
{
    public readonly OutputPair P0 = p0;
    public readonly OutputPair P16 = p16;
    public readonly OutputPair P32 = p32;
    public readonly OutputPair P48 = p48;

    public static int Dim => 64;

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
}

/// <summary>Twice as many dimensions.</summary>
internal readonly struct Twice<THalf>(THalf left, THalf right) : IOutputTile<Twice<THalf>>
    where THalf : struct, IOutputTile<THalf>
{
    public readonly THalf Left = left;
    public readonly THalf Right = right;

    public static int Dim => 2 * THalf.Dim;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OutputTile64 First(Twice<THalf> tile) => THalf.First(tile.Left);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> Shift(Twice<THalf> tile, OutputTile64 last) =>
        new(THalf.Shift(tile.Left, THalf.First(tile.Right)), THalf.Shift(tile.Right, last));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Twice<THalf> Scaled(Twice<THalf> tile, float above, float below) =>
        new(THalf.Scaled(tile.Left, above, below), THalf.Scaled(tile.Right, above, below));
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
