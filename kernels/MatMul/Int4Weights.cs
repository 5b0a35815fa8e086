using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>INT4 weights [N, K] with 16-bit scales of <typeparamref name="TScale"/> and zero points of <typeparamref name="TZero"/>.</summary>
internal readonly struct Int4Weights<TScale, TZero>(Int4Matrix matrix) : IMatMulWeights
    where TScale : struct, INumberFormat<ushort>
    where TZero : struct, IZeroPoint
{
    private readonly ArrayView<UInt4> codes = matrix.Codes;
    private readonly ArrayView<ushort> scales = matrix.Scales;
    private readonly ArrayView<byte> zeros = matrix.Zeros;
    private readonly int groupSize = matrix.GroupSize;
    private readonly int groups = matrix.Groups;
    private readonly int columnTiles = matrix.ColumnTiles;

    public int ChainColumns => groupSize < Int4Layout.TileColumns ? groupSize : Int4Layout.TileColumns;

    public float Weight(int row, int k)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, columnTiles);
        return TZero.Unpack(Int4Layout.Word(codes[lane], word), nibble, TZero.Base(zeros, ScaleIndex(row, k)));
    }

    public float Scale(int row, int k) => TScale.Load(scales[ScaleIndex(row, k)]);

    public CpuWeights ForCpu() =>
        CpuWeights.OfTiles(CpuWeightKind.Int4, codes, scales, zeros, typeof(TScale) == typeof(F16Format), groupSize, groups, columnTiles);

    private long ScaleIndex(int row, int k) => Int4Layout.ScaleIndex(row, k / groupSize, groups);
}
