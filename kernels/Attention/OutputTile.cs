using System.Runtime.CompilerServices;

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
