using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 weights [Rows, Columns] in device memory: W[r, k] = scale[r, k / GroupSize] · (code[r, k] − zero[r, k / GroupSize]). The layout
/// is drawn in this folder's README. Codes: 512-byte tiles of 16 rows × 64 k; scales: 16-bit, 16 of a row tile's group side by side;
/// zeros: a byte each, 0 … 16, in the order of the scales, or none at all where every zero point is 8.
/// </summary>
internal readonly record struct Int4Matrix(
    ArrayView<UInt4> Codes,
    ArrayView<ushort> Scales,
    ArrayView<byte> Zeros,
    WeightType ScaleType,
    int Rows,
    int Columns,
    int GroupSize)
{
    /// <summary>Whether every zero point is 8 and none is stored.</summary>
    public bool IsSymmetric => Zeros.Length == 0;

    /// <summary>Tiles of 16 rows.</summary>
    public int RowTiles => Int4Layout.RowTiles(Rows);

    /// <summary>Groups of <see cref="GroupSize"/> k in a row, the last one padded.</summary>
    public int Groups => Int4Layout.Groups(Columns, GroupSize);

    /// <summary>Tiles of 64 k in a row, padding up to the end of the last group's last tile included.</summary>
    public int ColumnTiles => Int4Layout.ColumnTiles(Columns, GroupSize);

    /// <summary>Bytes of <see cref="Codes"/>, padding included.</summary>
    public static long CodeBytes(int rows, int columns, int groupSize) =>
        (long)Int4Layout.RowTiles(rows) * Int4Layout.ColumnTiles(columns, groupSize) * Int4Layout.TileBytes;

    /// <summary>Bytes of <see cref="Scales"/>, padding included.</summary>
    public static long ScaleBytes(int rows, int columns, int groupSize) => ZeroBytes(rows, columns, groupSize) * sizeof(ushort);

    /// <summary>Bytes of <see cref="Zeros"/> where there are any, padding included.</summary>
    public static long ZeroBytes(int rows, int columns, int groupSize) =>
        (long)Int4Layout.RowTiles(rows) * Int4Layout.Groups(columns, groupSize) * Int4Layout.TileRows;

    /// <summary>Throws unless group size, scale type and all lengths fit; the messages name the op and the operand.</summary>
    public void Check(string op, string name)
    {
        Require.That(
            op,
            GroupSize == Int4Layout.HalfTileColumns || (GroupSize > 0 && GroupSize % Int4Layout.TileColumns == 0),
            $"group size of {name} is {GroupSize}, neither {Int4Layout.HalfTileColumns} nor a multiple of {Int4Layout.TileColumns}");
        Require.That(op, ScaleType is WeightType.F16 or WeightType.Bf16, $"scales of {name} are {ScaleType}, not F16 or Bf16");
        Require.Equal(op, $"bytes of codes of {name}", Codes.LengthInBytes, $"bytes for {this}", CodeBytes(Rows, Columns, GroupSize));
        Require.Equal(op, $"bytes of scales of {name}", Scales.LengthInBytes, $"bytes for {this}", ScaleBytes(Rows, Columns, GroupSize));
        if (!IsSymmetric)
            Require.Equal(op, $"bytes of zeros of {name}", Zeros.LengthInBytes, $"bytes for {this}", ZeroBytes(Rows, Columns, GroupSize));
    }

    public override string ToString() => $"INT4 g{GroupSize} [{Rows}, {Columns}]";
}
