using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A weight format: tiles of 16 rows × <see cref="Columns"/> k, each summed in f32 on the tensor cores, its sum scaled and added to the
/// total.
/// </summary>
internal interface IWeightTiles
{
    /// <summary>64 or 32.</summary>
    static abstract int Columns { get; }

    /// <summary>Whether a lane's x are eight k in a row, not those of the m16n8k16 fragments.</summary>
    static abstract bool TakesOctets { get; }

    /// <summary>A lane's part of a tile; of no use where it is not present.</summary>
    static abstract WeightTile Load(WeightRows rows, int tile, bool present);

    /// <summary>The same without the codes.</summary>
    static abstract WeightTile LoadScales(WeightRows rows, int tile, bool present);

    /// <summary>Brings a lane's part of a tile, scales not among it, into L2.</summary>
    static abstract void Prefetch(WeightRows rows, int tile, bool present);

    /// <summary>A loaded tile as operands: zeros, or any with scales of zero, where it is not present.</summary>
    static abstract OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present);

    /// <summary>total + the tile times x: words of steps 0, 1 and (64 k) 2, 3.</summary>
    static abstract Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right);
}

/// <summary>The weights of one row tile, what a warp streams: views from what this lane reads of the first tile and group on.</summary>
internal readonly struct WeightRows
{
    public readonly ArrayView<UInt4> Codes;
    public readonly ArrayView<ushort> Scales;
    public readonly ArrayView<byte> Zeros;
    public readonly WeightColumns Columns;

    /// <summary>Rows that there are of the sixteen; 0: the tile lies past the matrix, and nothing is read.</summary>
    public readonly int Rows;
    public readonly int DenseStride;

    public WeightRows(ProjectionSegment segment, WeightColumns columns, int rowTile)
    {
        int first = rowTile * Int4Layout.TileRows;
        Rows = first < segment.Rows ? segment.Rows - first : 0;
        Columns = columns;
        DenseStride = segment.DenseStride;
        int tile = Rows > 0 ? rowTile : 0;
        int lane = Group.IdxX & 31;
        long code = DenseStride > 0
            ? (long)tile * Int4Layout.TileRows * DenseStride
            : Int4Layout.TileStart(tile, 0, columns.ColumnTiles) + lane;
        Codes = segment.Codes.SubView(code, segment.Codes.Length - code);
        long scale = DenseStride > 0 ? 0 : Int4Layout.ScaleIndex(tile * Int4Layout.TileRows, 0, columns.Groups) + (lane >> 2);
        Scales = segment.Scales.SubView(scale, segment.Scales.Length - scale);
        long zero = columns.IsSymmetric != 0 ? 0 : scale;
        Zeros = segment.Zeros.SubView(zero, segment.Zeros.Length - zero);
    }

    /// <summary>A scale as stored; 0 for a tile that is not present. Both formats are tried: a branch costs more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(uint bits, bool present)
    {
        float half = F16x2.Low(bits);
        float scale = Interop.IntAsFloat(bits << 16);
        scale = Columns.ScalesAreF16 != 0 ? half : scale;
        return present ? scale : 0;
    }
}

/// <summary>A lane's part of a weight tile as loaded, scales of rows g and g + 8 among it.</summary>
internal struct WeightTile
{
    public UInt4 Codes;
    public UInt4 CodesBelow;
    public uint ScaleAbove;
    public uint ScaleBelow;
    public uint SecondScaleAbove;
    public uint SecondScaleBelow;
}

/// <summary>A weight tile as A fragments of up to four m16n8k16 steps and the scales of their sums.</summary>
internal struct OperandTile
{
    public UInt4 Step0;
    public UInt4 Step1;
    public UInt4 Step2;
    public UInt4 Step3;
    public float ScaleAbove;
    public float ScaleBelow;
    public float SecondScaleAbove;
    public float SecondScaleBelow;

    /// <summary>total + scale · sum, rounded once: every variant of the kernel has the same bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 AddScaled(Float4 total, Float4 sum, float above, float below) => new(
        Float32.Fma(sum.X, above, total.X),
        Float32.Fma(sum.Y, above, total.Y),
        Float32.Fma(sum.Z, below, total.Z),
        Float32.Fma(sum.W, below, total.W));
}
