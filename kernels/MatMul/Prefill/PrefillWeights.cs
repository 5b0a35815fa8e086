using System.Runtime.CompilerServices;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A warp's two row tiles on their way through K: one tile of k each as operands, the next as loaded. The next is loaded before the
/// products of the one and converted after them, while the tensor cores still work.
/// </summary>
/// <remarks>
/// Codes come by plain loads, which stay on their side of a barrier. Streaming loads may go anywhere, and the assembler puts them behind
/// the products, where there is nothing left to wait beside. Behind the last tile the last one comes again, for x that is zero; a row
/// tile that is not there has another's weights, and sums that nobody stores.
/// </remarks>
internal struct PrefillWeights<TTiles>
    where TTiles : struct, IWeightTiles
{
    public OperandTile First;
    public OperandTile Second;
    private WeightTile firstLoaded;
    private WeightTile secondLoaded;

    public PrefillWeights(WeightRows first, WeightRows second, int tile)
    {
        First = TTiles.Convert(first, Loaded(first, tile), Present(first, tile), present: true);
        Second = TTiles.Convert(second, Loaded(second, tile), Present(second, tile), present: true);
        firstLoaded = default;
        secondLoaded = default;
    }

    /// <summary>With a tile on its way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly PrefillWeights<TTiles> Load(WeightRows first, WeightRows second, int tile)
    {
        PrefillWeights<TTiles> next = this;
        next.firstLoaded = Loaded(first, tile);
        next.secondLoaded = Loaded(second, tile);
        return next;
    }

    /// <summary>With the tile that was loaded as operands.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly PrefillWeights<TTiles> Convert(WeightRows first, WeightRows second, int tile)
    {
        PrefillWeights<TTiles> next = this;
        next.First = TTiles.Convert(first, firstLoaded, Present(first, tile), present: true);
        next.Second = TTiles.Convert(second, secondLoaded, Present(second, tile), present: true);
        return next;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static WeightTile Loaded(WeightRows rows, int tile)
    {
        if (TTiles.TakesOctets)
            return TTiles.Load(rows, tile, present: true);
        tile = Present(rows, tile);
        WeightTile loaded = TTiles.LoadScales(rows, tile, present: true);
        loaded.Codes = rows.Codes.AsAligned(16)[tile * Int4Layout.TileLanes];
        return loaded;
    }

    // Behind the last tile that one again; there is one column at least.
    private static int Present(WeightRows rows, int tile)
    {
        int last = (int)((uint)(rows.Columns.Columns - 1) / (uint)TTiles.Columns);
        return tile < last ? tile : last;
    }
}
