using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How the weights of a matmul lie in memory.</summary>
internal enum CpuWeightKind
{
    Int4,
    Int8,
    Fp4,
    Fp8,
    Bf16,
    F16,
    F32,
}

/// <summary>
/// The weights [N, K] of a matmul as the shares of CPU threads read them: pointers and numbers, whatever the type arguments of the kernel.
/// Tiles have codes, scales and, where they are stored, zero points; rows have elements alone.
/// </summary>
internal readonly unsafe struct CpuWeights(CpuWeightKind kind)
{
    /// <summary>How far ahead of the weights in use memory is asked for. Behind the matrix it is asked in vain.</summary>
    public const int AheadBytes = 4096;

    public CpuWeightKind Kind { get; } = kind;

    /// <summary>Whether codes are bytes, which are multiplied as they are and scaled after.</summary>
    public bool HasByteCodes => Kind is CpuWeightKind.Int8 or CpuWeightKind.Fp8;

    public byte* Data { get; private init; }

    /// <summary>Of FP8 floats, two elements each.</summary>
    public ushort* Scales { get; private init; }

    /// <summary>Null where every zero point is 8.</summary>
    public byte* Zeros { get; private init; }

    public bool HasF16Scales { get; private init; }

    public int GroupSize { get; private init; }

    public int Groups { get; private init; }

    /// <summary>What every finished sum is multiplied by: FP4's global scale.</summary>
    public float Global { get; private init; } = 1;

    /// <summary>Tiles from one row tile to the next.</summary>
    public int ColumnTiles { get; private init; }

    /// <summary>Bytes from one row to the next.</summary>
    public long RowBytes { get; private init; }

    public static CpuWeights OfTiles(
        CpuWeightKind kind, ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<byte> zeros, bool hasF16Scales, int groupSize, int groups,
        int columnTiles) => new(kind)
    {
        Data = (byte*)CpuVectors.Pointer(codes),
        Scales = CpuVectors.Pointer(scales),
        Zeros = CpuVectors.Pointer(zeros),
        HasF16Scales = hasF16Scales,
        GroupSize = groupSize,
        Groups = groups,
        ColumnTiles = columnTiles,
    };

    /// <summary>slots: sixteens of scales of a row tile, which are the groups here.</summary>
    public static CpuWeights OfFp4(ArrayView<UInt4> codes, ArrayView<ushort> scales, int slots, int columnTiles) => new(CpuWeightKind.Fp4)
    {
        Data = (byte*)CpuVectors.Pointer(codes),
        Scales = CpuVectors.Pointer(scales),
        Global = Fp4Layout.Global(scales, row: 0, slots),
        GroupSize = Fp4Layout.GroupSize,
        Groups = slots,
        ColumnTiles = columnTiles,
    };

    public static CpuWeights OfRows(CpuWeightKind kind, Matrix<UInt4> rows) =>
        new(kind) { Data = (byte*)CpuVectors.Pointer(rows.Data), RowBytes = (long)rows.Stride * sizeof(UInt4) };
}
