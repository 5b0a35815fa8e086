using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How a weight matrix lies in device memory; this folder's README draws each.</summary>
internal enum WeightFormat
{
    /// <summary>Plain rows of one number type: <see cref="DenseLayout"/>.</summary>
    Dense,

    /// <summary>scale · (code − zero) of four-bit codes: <see cref="Int4Layout"/>.</summary>
    Int4,

    /// <summary>scale · code of eight-bit codes: <see cref="Int8Layout"/>.</summary>
    Int8,

    /// <summary>global · scale · value of four-bit floats with eight-bit scales: <see cref="Fp4Layout"/>.</summary>
    Fp4,
    /// <summary>scale · value of an E4M3 code, in <see cref="Int8Layout"/>'s tiles, with scales in f32.</summary>
    Fp8,
}

/// <summary>
/// Weights [Rows, Columns] in device memory. Data: rows, or codes in tiles of 16 rows; Scales: 16-bit, 16 of a row tile's group side by
/// side, of FP8 two elements each for 32 bits, and of FP4 bytes in pairs behind the global scale; Zeros: a byte each, 0 … 16, in the order of
/// the scales, or none at all where every zero point is 8.
/// </summary>
/// <param name="Format">How it lies.</param>
/// <param name="Data">16-byte words of rows or codes.</param>
/// <param name="Scales">Of the quantised formats.</param>
/// <param name="Zeros">Of INT4.</param>
/// <param name="Type">Number type of dense weights, or of the scales of quantised ones; of FP4 that of the global scale.</param>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
/// <param name="GroupSize">Neighbouring k that share a scale; 0 where there are none.</param>
internal readonly record struct WeightMatrix(
    WeightFormat Format, ArrayView<UInt4> Data, ArrayView<ushort> Scales, ArrayView<byte> Zeros, WeightType Type, int Rows, int Columns,
    int GroupSize)
{
    public bool IsDense => Format == WeightFormat.Dense;

    /// <summary>Whether every zero point is 8 and none is stored.</summary>
    public bool IsSymmetric => Zeros.Length == 0;

    /// <summary>Whether two groups share a tile of codes.</summary>
    public bool HasHalfTileGroups => Format == WeightFormat.Int4 && GroupSize == Int4Layout.HalfTileColumns;

    /// <summary>Groups of <see cref="GroupSize"/> k in a row, the last one padded.</summary>
    public int Groups => Format switch
    {
        WeightFormat.Int4 => Int4Layout.Groups(Columns, GroupSize),
        WeightFormat.Fp4 => Fp4Layout.Groups(Columns),
        WeightFormat.Int8 or WeightFormat.Fp8 => Int8Layout.Groups(Columns, GroupSize),
        _ => 1,
    };

    /// <summary>Sixteens of <see cref="Scales"/> of a row tile.</summary>
    public int ScaleSlots => Format switch
    {
        WeightFormat.Fp4 => Fp4Layout.Slots(Columns),
        WeightFormat.Fp8 => 2 * Groups,
        _ => Groups,
    };

    /// <summary>k in a tile of codes.</summary>
    public int TileColumns => Format is WeightFormat.Int4 or WeightFormat.Fp4 ? Int4Layout.TileColumns : Int8Layout.TileColumns;

    /// <summary>Tiles of codes in a row, padding up to the end of the last group's last tile included.</summary>
    public int ColumnTiles => Format switch
    {
        WeightFormat.Int4 => Int4Layout.ColumnTiles(Columns, GroupSize),
        WeightFormat.Fp4 => Fp4Layout.ColumnTiles(Columns),
        WeightFormat.Int8 or WeightFormat.Fp8 => Int8Layout.ColumnTiles(Columns, GroupSize),
        _ => 0,
    };

    /// <summary>16-byte words from one dense row to the next.</summary>
    public int StrideWords => IsDense ? DenseLayout.StrideWords(Type, Columns) : 0;

    /// <summary>Dense rows as 16-byte words.</summary>
    public Matrix<UInt4> Words => new(Data, Rows, StrideWords);

    /// <summary>Bytes of <see cref="Data"/>, padding included.</summary>
    public long DataBytes => Format switch
    {
        WeightFormat.Int4 => Int4Layout.CodeBytes(Rows, Columns, GroupSize),
        WeightFormat.Fp4 => Fp4Layout.CodeBytes(Rows, Columns),
        WeightFormat.Int8 or WeightFormat.Fp8 => Int8Layout.CodeBytes(Rows, Columns, GroupSize),
        _ => DenseLayout.Bytes(Type, Rows, Columns),
    };

    /// <summary>Bytes of <see cref="Scales"/>, padding included.</summary>
    public long ScaleBytes => Format switch
    {
        WeightFormat.Int4 => Int4Layout.ScaleBytes(Rows, Columns, GroupSize),
        WeightFormat.Int8 => Int8Layout.ScaleBytes(Rows, Columns, GroupSize),
        WeightFormat.Fp4 => Fp4Layout.ScaleBytes(Rows, Columns),
        WeightFormat.Fp8 => 2 * Int8Layout.ScaleBytes(Rows, Columns, GroupSize),
        _ => 0,
    };

    /// <summary>Bytes in device memory, padding included.</summary>
    public long SizeBytes => DataBytes + ScaleBytes + Zeros.Length;

    /// <summary>Without data, which says what one takes.</summary>
    public static WeightMatrix Dense(WeightType type, int rows, int columns) => Dense(type, default, rows, columns);

    /// <summary>Without data, which says what one takes.</summary>
    public static WeightMatrix Int4(WeightType scaleType, int rows, int columns, int groupSize) =>
        Int4(default, default, default, scaleType, rows, columns, groupSize);

    /// <summary>Without data, which says what one takes.</summary>
    public static WeightMatrix Int8(WeightType scaleType, int rows, int columns, int groupSize) =>
        Int8(default, default, scaleType, rows, columns, groupSize);

    /// <summary>Without data, which says what one takes.</summary>
    public static WeightMatrix Fp4(int rows, int columns) => Fp4(default, default, rows, columns);
    public static WeightMatrix Fp8(int rows, int columns, int groupSize) => Fp8(default, default, rows, columns, groupSize);

    public static WeightMatrix Dense(WeightType type, ArrayView<UInt4> data, int rows, int columns) =>
        new(WeightFormat.Dense, data, default, default, type, rows, columns, 0);

    public static WeightMatrix Int4(
        ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<byte> zeros, WeightType scaleType, int rows, int columns,
        int groupSize) =>
        new(WeightFormat.Int4, codes, scales, zeros, scaleType, rows, columns, groupSize);

    public static WeightMatrix Int8(
        ArrayView<UInt4> codes, ArrayView<ushort> scales, WeightType scaleType, int rows, int columns, int groupSize) =>
        new(WeightFormat.Int8, codes, scales, default, scaleType, rows, columns, groupSize);

    public static WeightMatrix Fp4(ArrayView<UInt4> codes, ArrayView<ushort> scales, int rows, int columns) =>
        new(WeightFormat.Fp4, codes, scales, default, WeightType.F32, rows, columns, Fp4Layout.GroupSize);
    public static WeightMatrix Fp8(ArrayView<UInt4> codes, ArrayView<ushort> scales, int rows, int columns, int groupSize) =>
        new(WeightFormat.Fp8, codes, scales, default, WeightType.F32, rows, columns, groupSize);

    /// <summary>Rows [first, first + count) of a dense matrix as a matrix of their own.</summary>
    public WeightMatrix Slice(int first, int count) =>
        this with { Data = Data.SubView(first * (long)StrideWords, count * (long)StrideWords), Rows = count };

    /// <summary>Throws unless it is of the format and its storage fits; the messages name the op and the operand.</summary>
    public void Check(string op, string name, WeightFormat format)
    {
        Require.That(op, Format == format, $"{name} is {this}, not {format}");
        Check(op, name);
    }

    /// <summary>Throws unless group size, scale type and all lengths fit the format; the messages name the op and the operand.</summary>
    public void Check(string op, string name)
    {
        Require.That(op, Format == WeightFormat.Int4 || IsSymmetric, $"{name} is {this}, but has zero points");
        if (IsDense)
        {
            Require.Equal(op, $"bytes of {name}", Data.LengthInBytes, $"bytes for {this}", DataBytes);
            return;
        }

        if (Format == WeightFormat.Fp4)
            Fp4Layout.CheckGroupSize(op, name, GroupSize);
        else if (Format == WeightFormat.Int4)
            Int4Layout.CheckGroupSize(op, name, GroupSize);
        else
            Int8Layout.CheckGroupSize(op, name, GroupSize);
        if (Format is WeightFormat.Fp4 or WeightFormat.Fp8)
            Require.That(op, Type == WeightType.F32, $"scales of {name} are {Type}, not F32");
        else
            Require.That(op, Type is WeightType.F16 or WeightType.Bf16, $"scales of {name} are {Type}, not F16 or Bf16");
        Require.Equal(op, $"bytes of codes of {name}", Data.LengthInBytes, $"bytes for {this}", DataBytes);
        Require.Equal(op, $"bytes of scales of {name}", Scales.LengthInBytes, $"bytes for {this}", ScaleBytes);
        if (!IsSymmetric)
        {
            Require.Equal(
                op, $"bytes of zeros of {name}", Zeros.LengthInBytes, $"bytes for {this}", Int4Layout.ZeroBytes(Rows, Columns, GroupSize));
        }
    }

    public override string ToString() => Format switch
    {
        WeightFormat.Int4 => $"INT4 g{GroupSize} [{Rows}, {Columns}]",
        WeightFormat.Int8 => $"INT8 g{GroupSize} [{Rows}, {Columns}]",
        WeightFormat.Fp4 => $"FP4 g{GroupSize} [{Rows}, {Columns}]",
        WeightFormat.Fp8 => $"FP8 g{GroupSize} [{Rows}, {Columns}]",
        _ => $"{Type} [{Rows}, {Columns}]",
    };
}
