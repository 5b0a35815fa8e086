using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>The storage of <see cref="DenseLayout"/> on the host, element by element: its definition.</summary>
internal static class DenseReference
{
    /// <summary>Rounds values [rows, columns] to the type and pads each row with zeros to a multiple of 16 bytes.</summary>
    public static UInt4[] Pack(WeightType type, float[] values, int rows, int columns)
    {
        var words = new UInt4[DenseLayout.Bytes(type, rows, columns) / 16];
        Span<byte> bytes = MemoryMarshal.AsBytes(words.AsSpan());
        int stride = rows == 0 ? 0 : bytes.Length / rows;
        for (int r = 0; r < rows; r++)
        {
            Span<byte> row = bytes.Slice(r * stride, stride);
            for (int c = 0; c < columns; c++)
                Write(type, row, c, values[(r * columns) + c]);
        }

        return words;
    }

    /// <summary>The values [rows, columns] that the words stand for.</summary>
    public static double[] Unpack(WeightType type, UInt4[] words, int rows, int columns)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(words.AsSpan());
        int stride = rows == 0 ? 0 : bytes.Length / rows;
        var values = new double[rows * columns];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                values[(r * columns) + c] = Read(type, bytes.Slice(r * stride, stride), c);
        }

        return values;
    }

    private static void Write(WeightType type, Span<byte> row, int column, float value)
    {
        switch (type)
        {
            case WeightType.F32:
                MemoryMarshal.Cast<byte, float>(row)[column] = value;
                break;
            case WeightType.F16:
                MemoryMarshal.Cast<byte, Half>(row)[column] = (Half)value;
                break;
            default:
                MemoryMarshal.Cast<byte, ushort>(row)[column] = Bf16.FromFloat(value);
                break;
        }
    }

    private static double Read(WeightType type, ReadOnlySpan<byte> row, int column) => type switch
    {
        WeightType.F32 => MemoryMarshal.Cast<byte, float>(row)[column],
        WeightType.F16 => (double)MemoryMarshal.Cast<byte, Half>(row)[column],
        _ => Bf16.ToFloat(MemoryMarshal.Cast<byte, ushort>(row)[column]),
    };
}
