using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The weights [N, K] of a matmul in one storage, element by element: scale · weight.</summary>
internal interface IMatMulWeights
{
    /// <summary>Neighbouring k whose products are summed before they are scaled; a divisor of the columns that share a scale.</summary>
    int ChainColumns { get; }

    /// <summary>The weight before its scale, exactly.</summary>
    float Weight(int row, int k);

    /// <summary>The scale of a row's weights in the chain that begins at k.</summary>
    float Scale(int row, int k);

    /// <summary>The same weights as the shares of CPU threads read them.</summary>
    CpuWeights ForCpu();
}

/// <summary>INT4 weights [N, K] with 16-bit scales of <typeparamref name="TScale"/> and zero points of <typeparamref name="TZero"/>.</summary>
internal readonly struct Int4Weights<TScale, TZero>(WeightMatrix matrix) : IMatMulWeights
    where TScale : struct, INumberFormat<ushort>
    where TZero : struct, IZeroPoint
{
    private readonly ArrayView<UInt4> codes = matrix.Data;
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

/// <summary>INT8 weights [N, K] with 16-bit scales of <typeparamref name="TScale"/>.</summary>
internal readonly struct Int8Weights<TScale>(WeightMatrix matrix) : IMatMulWeights
    where TScale : struct, INumberFormat<ushort>
{
    private readonly ArrayView<UInt4> codes = matrix.Data;
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

/// <summary>FP4 weights [N, K]: value · scale is exact in six bits, and only the sum of a tile meets the global scale.</summary>
internal readonly struct Fp4Weights(WeightMatrix matrix) : IMatMulWeights
{
    private readonly ArrayView<UInt4> codes = matrix.Data;
    private readonly ArrayView<ushort> scales = matrix.Scales;
    private readonly int columnTiles = matrix.ColumnTiles;
    private readonly int slots = matrix.ScaleSlots;

    public int ChainColumns => Int4Layout.TileColumns;

    public float Weight(int row, int k)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, columnTiles);
        (long slot, int shift) = Fp4Layout.ScalePosition(row, k, slots);
        return E2M1.ToFloat(Int4Layout.Word(codes[lane], word) >> (4 * nibble)) * Fp8.ToFloat((uint)scales[slot] >> shift);
    }

    public float Scale(int row, int k) => Fp4Layout.Global(scales, row, slots);

    public CpuWeights ForCpu() => CpuWeights.OfFp4(codes, scales, slots, columnTiles);
}

/// <summary>FP8 weights [N, K] with f32 scales.</summary>
internal readonly struct Fp8Weights(WeightMatrix matrix) : IMatMulWeights
{
    private readonly ArrayView<UInt4> codes = matrix.Data;
    private readonly ArrayView<float> scales = matrix.Scales.Cast<float>();
    private readonly int groupSize = matrix.GroupSize;
    private readonly int groups = matrix.Groups;
    private readonly int columnTiles = matrix.ColumnTiles;

    public int ChainColumns => Int8Layout.TileColumns;

    public float Weight(int row, int k)
    {
        (long lane, int word, int index) = Int8Layout.Position(row, k, columnTiles);
        return Fp8.ToFloat(Int4Layout.Word(codes[lane], word) >> (8 * index));
    }

    public float Scale(int row, int k) => scales[Int8Layout.ScaleIndex(row, k / groupSize, groups)];

    public CpuWeights ForCpu() => CpuWeights.OfTiles(
        CpuWeightKind.Fp8, codes, scales.Cast<ushort>(), default, hasF16Scales: false, groupSize, groups, columnTiles);
}

/// <summary>Plain weights [N, K], rows of 16-byte words of <typeparamref name="TFormat"/>; their scale is one.</summary>
internal readonly struct DenseWeights<TFormat>(WeightMatrix matrix) : IMatMulWeights
    where TFormat : struct, IWeightFormat
{
    private readonly Matrix<UInt4> words = matrix.Words;

    public int ChainColumns => 128;

    public float Weight(int row, int k) => TFormat.At(words.Row(row), k);

    public float Scale(int row, int k) => 1;

    public CpuWeights ForCpu() => CpuWeights.OfRows(
        typeof(TFormat) == typeof(F32Weights) ? CpuWeightKind.F32
            : typeof(TFormat) == typeof(F16Weights) ? CpuWeightKind.F16 : CpuWeightKind.Bf16,
        words);
}
