using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How weights come out of a quantised matrix by tiles of 16 rows × 32 k: an INT8 tile, or half an INT4 tile. Sixteen bytes of lane
/// 4·g + t hold, of each of the tile's two k16 steps, eight weights.
/// </summary>
internal interface IEmbeddingTiles
{
    /// <summary>The 16-byte words of a row tile.</summary>
    static abstract ArrayView<UInt4> RowTile(ArrayView<UInt4> codes, int rowTile, int columns, int groupSize);

    /// <summary>Index among a row tile's words of lane 0 of a tile of 32 k.</summary>
    static abstract int FirstLane(int tile);

    /// <summary>What the weights of a row's group are read with; index: of its scale among the matrix's.</summary>
    static abstract float Base(ArrayView<byte> zeros, long scaleIndex);

    /// <summary>The lane's weights of k 0 … 15 of the tile, before the scale.</summary>
    static abstract StepWeights First(UInt4 lane, int tile, float aboveBase, float belowBase);

    /// <summary>The lane's weights of k 16 … 31 of the tile, before the scale.</summary>
    static abstract StepWeights Second(UInt4 lane, int tile, float aboveBase, float belowBase);
}

/// <summary>A lane's weights of one k16 step: k 2t, 2t + 1, 2t + 8, 2t + 9 of rows g (above) and g + 8 (below).</summary>
internal readonly struct StepWeights(Float4 above, Float4 below)
{
    public readonly Float4 Above = above;
    public readonly Float4 Below = below;
}

/// <summary>Halves of INT4 tiles: words X and Y of a lane, or Z and W.</summary>
internal readonly struct Int4EmbeddingTiles<TZero> : IEmbeddingTiles
    where TZero : struct, IZeroPoint
{
    public static ArrayView<UInt4> RowTile(ArrayView<UInt4> codes, int rowTile, int columns, int groupSize)
    {
        int columnTiles = Int4Layout.ColumnTiles(columns, groupSize);
        return codes.SubView(Int4Layout.TileStart(rowTile, 0, columnTiles), (long)columnTiles * Int4Layout.TileLanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FirstLane(int tile) => (tile >> 1) * Int4Layout.TileLanes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Base(ArrayView<byte> zeros, long scaleIndex) => TZero.Base(zeros, scaleIndex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static StepWeights First(UInt4 lane, int tile, float aboveBase, float belowBase) =>
        Step((tile & 1) == 0 ? lane.X : lane.Z, aboveBase, belowBase);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static StepWeights Second(UInt4 lane, int tile, float aboveBase, float belowBase) =>
        Step((tile & 1) == 0 ? lane.Y : lane.W, aboveBase, belowBase);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static StepWeights Step(uint word, float aboveBase, float belowBase) => new(
        new Float4(
            TZero.Unpack(word, 0, aboveBase), TZero.Unpack(word, 4, aboveBase),
            TZero.Unpack(word, 2, aboveBase), TZero.Unpack(word, 6, aboveBase)),
        new Float4(
            TZero.Unpack(word, 1, belowBase), TZero.Unpack(word, 5, belowBase),
            TZero.Unpack(word, 3, belowBase), TZero.Unpack(word, 7, belowBase)));
}

/// <summary>INT8 tiles; they have no zero points.</summary>
internal readonly struct Int8EmbeddingTiles : IEmbeddingTiles
{
    public static ArrayView<UInt4> RowTile(ArrayView<UInt4> codes, int rowTile, int columns, int groupSize)
    {
        int columnTiles = Int8Layout.ColumnTiles(columns, groupSize);
        return codes.SubView(Int8Layout.TileStart(rowTile, 0, columnTiles), (long)columnTiles * Int8Layout.TileLanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FirstLane(int tile) => tile * Int8Layout.TileLanes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Base(ArrayView<byte> zeros, long scaleIndex) => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static StepWeights First(UInt4 lane, int tile, float aboveBase, float belowBase) => Step(lane.X, lane.Y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static StepWeights Second(UInt4 lane, int tile, float aboveBase, float belowBase) => Step(lane.Z, lane.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static StepWeights Step(uint left, uint right) => new(
        new Float4(Int8Layout.Unpack(left, 0), Int8Layout.Unpack(left, 2), Int8Layout.Unpack(right, 0), Int8Layout.Unpack(right, 2)),
        new Float4(Int8Layout.Unpack(left, 1), Int8Layout.Unpack(left, 3), Int8Layout.Unpack(right, 1), Int8Layout.Unpack(right, 3)));
}
