using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The FP8 layout on the host, code by code through <see cref="Int8Layout.Position"/>: the definition of packers and unpackers.
/// </summary>
internal sealed class Fp8Reference
{
    public Fp8Reference(int rows, int columns, int groupSize)
        : this(
            rows,
            columns,
            groupSize,
            new UInt4[Int8Layout.CodeBytes(rows, columns, groupSize) / 16],
            new float[Int8Layout.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)])
    {
    }

    public Fp8Reference(int rows, int columns, int groupSize, UInt4[] codes, float[] scales) =>
        (Rows, Columns, GroupSize, Codes, Scales) = (rows, columns, groupSize, codes, scales);

    public int Rows { get; }

    public int Columns { get; }

    public int GroupSize { get; }

    public UInt4[] Codes { get; }

    public float[] Scales { get; }

    public int Groups => Int8Layout.Groups(Columns, GroupSize);

    /// <summary>Codes [rows, columns] and their scales, one for each blockRows × blockColumns, as a checkpoint has them.</summary>
    public static Fp8Reference Pack(
        byte[] codes, int rows, int columns, int groupSize, float[] scales, int blockRows, int blockColumns)
    {
        var packed = new Fp8Reference(rows, columns, groupSize);
        int blocksOfRow = (columns + blockColumns - 1) / blockColumns;
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
            {
                packed.SetCode(row, k, codes[(row * columns) + k]);
                packed.Scales[Int8Layout.ScaleIndex(row, k / groupSize, packed.Groups)] =
                    scales[(row / blockRows * blocksOfRow) + (k / blockColumns)];
            }
        }

        return packed;
    }

    /// <summary>The value of a code by the format's definition; NaN of 0x7f and 0xff.</summary>
    public static double Value(byte code)
    {
        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        double magnitude = exponent == 15 && mantissa == 7 ? double.NaN
            : exponent == 0 ? mantissa * Math.Pow(2, -9)
            : (8 + mantissa) * Math.Pow(2, exponent - 10);
        return code >= 0x80 ? -magnitude : magnitude;
    }

    /// <summary>The stored code, padding positions included.</summary>
    public byte Code(int row, int k) => MemoryMarshal.AsBytes(Codes.AsSpan())[ByteOf(row, k)];

    public void SetCode(int row, int k, byte code) => MemoryMarshal.AsBytes(Codes.AsSpan())[ByteOf(row, k)] = code;

    /// <summary>The weights [rows, columns] that codes and scales stand for.</summary>
    public double[] Unpack()
    {
        var weights = new double[Rows * Columns];
        for (int row = 0; row < Rows; row++)
        {
            for (int k = 0; k < Columns; k++)
                weights[(row * Columns) + k] = Scales[Int8Layout.ScaleIndex(row, k / GroupSize, Groups)] * Value(Code(row, k));
        }

        return weights;
    }

    private int ByteOf(int row, int k)
    {
        (long lane, int word, int index) = Int8Layout.Position(row, k, Int8Layout.ColumnTiles(Columns, GroupSize));
        return (int)((lane * 16) + (word * 4) + index);
    }
}
