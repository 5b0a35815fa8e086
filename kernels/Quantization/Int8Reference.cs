using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The INT8 layout on the host, code by code through <see cref="Int8Layout.Position"/>: the definition of packers and unpackers.
/// </summary>
internal sealed class Int8Reference
{
    public Int8Reference(int rows, int columns, int groupSize)
        : this(
            rows,
            columns,
            groupSize,
            new UInt4[Int8Layout.CodeBytes(rows, columns, groupSize) / 16],
            new ushort[Int8Layout.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)])
    {
    }

    public Int8Reference(int rows, int columns, int groupSize, UInt4[] codes, ushort[] scales) =>
        (Rows, Columns, GroupSize, Codes, Scales) = (rows, columns, groupSize, codes, scales);

    public int Rows { get; }

    public int Columns { get; }

    public int GroupSize { get; }

    public UInt4[] Codes { get; }

    public ushort[] Scales { get; }

    public int Groups => Int8Layout.Groups(Columns, GroupSize);

    /// <summary>Weights [rows, columns] to tiles by <see cref="RoundToNearestInt8Rule"/>.</summary>
    public static Int8Reference FromWeights(double[] weights, int rows, int columns, int groupSize, WeightType scaleType)
    {
        var packed = new Int8Reference(rows, columns, groupSize);
        for (int row = 0; row < rows; row++)
        {
            for (int group = 0; group < packed.Groups; group++)
            {
                int start = group * groupSize;
                int end = Math.Min(start + groupSize, columns);
                float largest = 0;
                for (int k = start; k < end; k++)
                    largest = Math.Max(largest, Math.Abs((float)weights[(row * columns) + k]));
                ushort scale = Scale16.FromFloat(RoundToNearestInt8Rule.Scale(largest, Scale16.Largest(scaleType)), scaleType);
                packed.Scales[Int8Layout.ScaleIndex(row, group, packed.Groups)] = scale;
                for (int k = start; k < end; k++)
                    packed.SetCode(row, k, Round(weights[(row * columns) + k], Scale16.ToFloat(scale, scaleType)));
            }
        }

        return packed;
    }

    /// <summary>The stored code, padding positions included.</summary>
    public int Code(int row, int k) => (sbyte)MemoryMarshal.AsBytes(Codes.AsSpan())[ByteOf(row, k)];

    public void SetCode(int row, int k, int code) => MemoryMarshal.AsBytes(Codes.AsSpan())[ByteOf(row, k)] = (byte)code;

    /// <summary>The weights [rows, columns] that codes and scales stand for.</summary>
    public double[] Unpack(WeightType scaleType)
    {
        var weights = new double[Rows * Columns];
        for (int row = 0; row < Rows; row++)
        {
            for (int k = 0; k < Columns; k++)
            {
                double scale = Scale16.ToFloat(Scales[Int8Layout.ScaleIndex(row, k / GroupSize, Groups)], scaleType);
                weights[(row * Columns) + k] = scale * Code(row, k);
            }
        }

        return weights;
    }

    private static int Round(double weight, float scale) =>
        scale == 0 ? 0 : (int)Math.Clamp(Math.Round((float)weight / scale, MidpointRounding.ToEven), -127, 127);

    private int ByteOf(int row, int k)
    {
        (long lane, int word, int index) = Int8Layout.Position(row, k, Int8Layout.ColumnTiles(Columns, GroupSize));
        return (int)((lane * 16) + (word * 4) + index);
    }
}
