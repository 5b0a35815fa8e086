using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

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
