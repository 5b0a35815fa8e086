using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A warp's sums of two row tiles by eight tokens: a D fragment of m16n8k16 each.</summary>
internal readonly struct PrefillPair(Float4 first, Float4 second)
{
    public readonly Float4 First = first;
    public readonly Float4 Second = second;
}

/// <summary>A warp's sums of two row tiles by up to 64 tokens. Fields, not an array: they have to stay in registers.</summary>
internal struct PrefillSums
{
    /// <summary>Tiles of tokens that are finished at once.</summary>
    public const int Batch = 4;

    public PrefillPair N0;
    public PrefillPair N1;
    public PrefillPair N2;
    public PrefillPair N3;
    public PrefillPair N4;
    public PrefillPair N5;
    public PrefillPair N6;
    public PrefillPair N7;

    /// <summary>The first tiles of tokens to each thread's own words, a group apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreBatch<TTile>(ArrayView<Float4> target, int at)
        where TTile : struct, IPrefillTile
    {
        Store<TTile>(target, at, N0, 0);
        Store<TTile>(target, at, N1, 1);
        Store<TTile>(target, at, N2, 2);
        Store<TTile>(target, at, N3, 3);
    }

    /// <summary>The rest of the tiles in the place of the first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly PrefillSums WithoutBatch()
    {
        PrefillSums rest = default;
        rest.N0 = N4;
        rest.N1 = N5;
        rest.N2 = N6;
        rest.N3 = N7;
        return rest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TTile>(ArrayView<Float4> target, int at, PrefillPair sums, int tile)
        where TTile : struct, IPrefillTile
    {
        target[at + (tile * 2 * TTile.Warps * 32)] = sums.First;
        target[at + (((tile * 2) + 1) * TTile.Warps * 32)] = sums.Second;
    }
}
