using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>INT8 weights [N, K] with 16-bit scales of <typeparamref name="TScale"/>.</summary>
internal readonly struct Int8Weights<TScale>(Int8Matrix matrix) : IMatMulWeights
    where TScale : struct, INumberFormat<ushort>
{
    private readonly ArrayView<UInt4> codes = matrix.Codes;
    private readonly ArrayView<ushort> scales = matrix.Scales;
    private readonly int groupSize = matrix.GroupSize;
    private readonly int groups = matrix.Groups;
    private readonly int columnTiles = matrix.ColumnTiles;

    public int ChainColumns => Int8Layout.TileColumns;

    public float Weight(int row, int k)
    {
        (long lane, int word, int index) = Int8Layout.Position(row, k, columnTiles);
        return Int8Layout.Unpack(Int4Layout.Word(codes[lane], word), index);
    }

    public float Scale(int row, int k) => TScale.Load(scales[Int8Layout.ScaleIndex(row, k / groupSize, groups)]);

    public CpuWeights ForCpu() => CpuWeights.OfTiles(
        CpuWeightKind.Int8, codes, scales, default, typeof(TScale) == typeof(F16Format), groupSize, groups, columnTiles);
}
