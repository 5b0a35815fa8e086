using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT8 weights [Rows, Columns] in device memory: W[r, k] = scale[r, k / GroupSize] · code[r, k], codes −128 … 127. The layout is drawn
/// in this folder's README. Codes: 512-byte tiles of 16 rows × 32 k; scales: 16-bit, 16 of a row tile's group side by side. One scale a
/// row is a group of <see cref="Int8Layout.RowGroup"/>.
/// </summary>
internal readonly record struct Int8Matrix(
    ArrayView<UInt4> Codes, ArrayView<ushort> Scales, WeightType ScaleType, int Rows, int Columns, int GroupSize)
{
    /// <summary>Tiles of 16 rows.</summary>
    public int RowTiles => Int8Layout.RowTiles(Rows);

    /// <summary>Groups of <see cref="GroupSize"/> k in a row, the last one padded.</summary>
    public int Groups => Int8Layout.Groups(Columns, GroupSize);

    /// <summary>Tiles of 32 k in a row, padding up to the last group's end included.</summary>
    public int ColumnTiles => Int8Layout.ColumnTiles(Columns, GroupSize);

    /// <summary>Bytes of <see cref="Codes"/>, padding included.</summary>
    public static long CodeBytes(int rows, int columns, int groupSize) =>
        (long)Int8Layout.RowTiles(rows) * Int8Layout.ColumnTiles(columns, groupSize) * Int8Layout.TileBytes;

    /// <summary>Bytes of <see cref="Scales"/>, padding included.</summary>
    public static long ScaleBytes(int rows, int columns, int groupSize) =>
        (long)Int8Layout.RowTiles(rows) * Int8Layout.Groups(columns, groupSize) * Int8Layout.TileRows * sizeof(ushort);

    /// <summary>Throws unless group size, scale type and both lengths fit; the messages name the op and the operand.</summary>
    public void Check(string op, string name)
    {
        Require.That(
            op,
            GroupSize > 0 && GroupSize % Int8Layout.TileColumns == 0,
            $"group size of {name} is {GroupSize}, not a multiple of {Int8Layout.TileColumns}");
        Require.That(op, ScaleType is WeightType.F16 or WeightType.Bf16, $"scales of {name} are {ScaleType}, not F16 or Bf16");
        Require.Equal(op, $"bytes of codes of {name}", Codes.LengthInBytes, $"bytes for {this}", CodeBytes(Rows, Columns, GroupSize));
        Require.Equal(op, $"bytes of scales of {name}", Scales.LengthInBytes, $"bytes for {this}", ScaleBytes(Rows, Columns, GroupSize));
    }

    public override string ToString() => $"INT8 g{GroupSize} [{Rows}, {Columns}]";
}
