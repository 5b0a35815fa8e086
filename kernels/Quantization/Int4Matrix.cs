using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 weights [Rows, Columns] in device memory: W[r, k] = scale[r, k / GroupSize] · (code[r, k] − 8). The layout is drawn in this
/// folder's README. Codes: 512-byte tiles of 16 rows × 64 k; scales: 16-bit, 16 of a row tile's group side by side.
/// </summary>
internal readonly record struct Int4Matrix(
    ArrayView<UInt4> Codes, ArrayView<ushort> Scales, WeightType ScaleType, int Rows, int Columns, int GroupSize)
{
    /// <summary>Tiles of 16 rows.</summary>
    public int RowTiles => Int4Layout.RowTiles(Rows);

    /// <summary>Groups of <see cref="GroupSize"/> k in a row, the last one padded.</summary>
    public int Groups => Int4Layout.Groups(Columns, GroupSize);

    /// <summary>Tiles of 64 k in a row, padding up to the last group's end included.</summary>
    public int ColumnTiles => Int4Layout.ColumnTiles(Columns, GroupSize);

    /// <summary>Bytes of <see cref="Codes"/>, padding included.</summary>
    public static long CodeBytes(int rows, int columns, int groupSize) =>
        (long)Int4Layout.RowTiles(rows) * Int4Layout.ColumnTiles(columns, groupSize) * Int4Layout.TileBytes;

    /// <summary>Bytes of <see cref="Scales"/>, padding included.</summary>
    public static long ScaleBytes(int rows, int columns, int groupSize) =>
        (long)Int4Layout.RowTiles(rows) * Int4Layout.Groups(columns, groupSize) * Int4Layout.TileRows * sizeof(ushort);

    /// <summary>Throws unless group size, scale type and both lengths fit; the messages name the op and the operand.</summary>
    public void Check(string op, string name)
    {
        Require.That(
            op,
            GroupSize > 0 && GroupSize % Int4Layout.TileColumns == 0,
            $"group size of {name} is {GroupSize}, not a multiple of {Int4Layout.TileColumns}");
        Require.That(op, ScaleType is WeightType.F16 or WeightType.Bf16, $"scales of {name} are {ScaleType}, not F16 or Bf16");
        Require.Equal(op, $"bytes of codes of {name}", Codes.LengthInBytes, $"bytes for {this}", CodeBytes(Rows, Columns, GroupSize));
        Require.Equal(op, $"bytes of scales of {name}", Scales.LengthInBytes, $"bytes for {this}", ScaleBytes(Rows, Columns, GroupSize));
    }

    public override string ToString() => $"INT4 g{GroupSize} [{Rows}, {Columns}]";
}
