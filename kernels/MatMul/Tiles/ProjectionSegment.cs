using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One projection of a launch on the device: weights [N, K], output y [M, N] (no rows: not stored).
/// The units of the launch from <paramref name="firstUnit"/> up to the next segment are its own.
/// </summary>
internal readonly struct ProjectionSegment(
    ArrayView<UInt4> codes,
    ArrayView<ushort> scales,
    ArrayView<byte> zeros,
    int rows,
    int denseStride,
    int firstUnit,
    Matrix<float> y)
{
    public readonly ArrayView<UInt4> Codes = codes;
    public readonly ArrayView<ushort> Scales = scales;
    public readonly ArrayView<byte> Zeros = zeros;

    /// <summary>N: rows of the weights.</summary>
    public readonly int Rows = rows;

    /// <summary>16-byte words of a row of plain 16-bit weights; 0 where the weights are quantised.</summary>
    public readonly int DenseStride = denseStride;
    public readonly int FirstUnit = firstUnit;
    public readonly Matrix<float> Y = y;
}

/// <summary>What the weights of all quantised segments of a launch have in common, and how K is cut.</summary>
internal readonly struct WeightColumns(
    int columns, int columnTiles, int groups, int groupShift, int isSymmetric, int scalesAreF16, int splits, int runBlocks)
{
    /// <summary>Runs of K that are summed each on its own, by one warp, and then in their order.</summary>
    public const int Runs = 4;

    /// <summary>k that a step of a run takes, whatever the weights' tiles are.</summary>
    public const int BlockColumns = 64;

    /// <summary>K: columns of the weights.</summary>
    public readonly int Columns = columns;

    /// <summary>Tiles of a row tile as it is stored, padding included.</summary>
    public readonly int ColumnTiles = columnTiles;
    public readonly int Groups = groups;

    /// <summary>Group of a tile: its number shifted right by so much.</summary>
    public readonly int GroupShift = groupShift;
    public readonly int IsSymmetric = isSymmetric;
    public readonly int ScalesAreF16 = scalesAreF16;

    /// <summary>Parts of K that different groups compute.</summary>
    public readonly int Splits = splits;

    /// <summary>Blocks of 64 k of each of the Runs · Splits runs.</summary>
    public readonly int RunBlocks = runBlocks;

    public int Blocks => (int)((uint)(Columns + BlockColumns - 1) / BlockColumns);

    public static int RunBlocksOf(int columns, int splits)
    {
        int runColumns = BlockColumns * Runs * splits;
        return (columns + runColumns - 1) / runColumns;
    }
}
