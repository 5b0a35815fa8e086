using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The weights of one row tile, what a warp streams: views from what this lane reads of the first tile and group on.</summary>
internal readonly struct WeightRows
{
    public readonly ArrayView<UInt4> Codes;
    public readonly ArrayView<ushort> Scales;
    public readonly ArrayView<byte> Zeros;
    public readonly DecodeColumns Columns;

    /// <summary>Rows that there are of the sixteen; 0: the tile lies past the matrix, and nothing is read.</summary>
    public readonly int Rows;
    public readonly int DenseStride;

    public WeightRows(DecodeSegment segment, DecodeColumns columns, int rowTile)
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
