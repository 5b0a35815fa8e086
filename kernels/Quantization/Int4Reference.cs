using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The INT4 layout on the host, code by code through <see cref="Int4Layout.Position"/>: the definition of packers and unpackers.
/// </summary>
internal sealed class Int4Reference
{
    /// <summary>Nothing but padding: codes 8, scales 0, zero points 8 where there are to be any.</summary>
    public Int4Reference(int rows, int columns, int groupSize, bool hasZeros = false)
        : this(
            rows,
            columns,
            groupSize,
            new UInt4[Int4Layout.CodeBytes(rows, columns, groupSize) / 16],
            new ushort[Int4Layout.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)],
            new byte[hasZeros ? Int4Layout.ZeroBytes(rows, columns, groupSize) : 0])
    {
        MemoryMarshal.Cast<UInt4, uint>(Codes.AsSpan()).Fill(0x88888888u);
        Zeros.AsSpan().Fill(Int4Layout.Zero);
    }

    public Int4Reference(int rows, int columns, int groupSize, UInt4[] codes, ushort[] scales, byte[]? zeros = null) =>
        (Rows, Columns, GroupSize, Codes, Scales, Zeros) = (rows, columns, groupSize, codes, scales, zeros ?? []);

    public int Rows { get; }

    public int Columns { get; }

    public int GroupSize { get; }

    public UInt4[] Codes { get; }

    public ushort[] Scales { get; }

    /// <summary>Empty where every zero point is 8.</summary>
    public byte[] Zeros { get; }

    public int Groups => Int4Layout.Groups(Columns, GroupSize);

    private int ColumnTiles => Int4Layout.ColumnTiles(Columns, GroupSize);

    /// <summary>Weights [rows, columns] to tiles by <see cref="RoundToNearestInt4Rule"/>.</summary>
    public static Int4Reference FromWeights(double[] weights, int rows, int columns, int groupSize, WeightType scaleType)
    {
        var packed = new Int4Reference(rows, columns, groupSize);
        for (int row = 0; row < rows; row++)
        {
            for (int group = 0; group < packed.Groups; group++)
            {
                int end = Math.Min((group + 1) * groupSize, columns);
                float largest = 0;
                for (int k = group * groupSize; k < end; k++)
                    largest = Math.Max(largest, Math.Abs((float)weights[(row * columns) + k]));
                ushort scale = Scale16.FromFloat(RoundToNearestInt4Rule.Scale(largest, Scale16.Largest(scaleType)), scaleType);
                packed.Scales[Int4Layout.ScaleIndex(row, group, packed.Groups)] = scale;
                for (int k = group * groupSize; k < end; k++)
                    packed.SetCode(row, k, Round(weights[(row * columns) + k], Scale16.ToFloat(scale, scaleType)));
            }
        }

        return packed;
    }

    /// <summary>The stored code, padding positions included.</summary>
    public int Code(int row, int k)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, ColumnTiles);
        return (int)(MemoryMarshal.Cast<UInt4, uint>(Codes)[(int)((lane * 4) + word)] >> (4 * nibble)) & 15;
    }

    /// <summary>The zero point of a row's group.</summary>
    public int ZeroOf(int row, int group) =>
        Zeros.Length == 0 ? Int4Layout.Zero : Zeros[Int4Layout.ScaleIndex(row, group, Groups)];

    /// <summary>The weights [rows, columns] that codes and scales stand for.</summary>
    public double[] Unpack(WeightType scaleType)
    {
        var weights = new double[Rows * Columns];
        for (int row = 0; row < Rows; row++)
        {
            for (int k = 0; k < Columns; k++)
            {
                double scale = Scale16.ToFloat(Scales[Int4Layout.ScaleIndex(row, k / GroupSize, Groups)], scaleType);
                weights[(row * Columns) + k] = scale * (Code(row, k) - ZeroOf(row, k / GroupSize));
            }
        }

        return weights;
    }

    public void SetCode(int row, int k, int code)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, ColumnTiles);
        ref uint target = ref MemoryMarshal.Cast<UInt4, uint>(Codes.AsSpan())[(int)((lane * 4) + word)];
        target = (target & ~(15u << (4 * nibble))) | ((uint)code << (4 * nibble));
    }

    private static int Round(double weight, float scale) => scale == 0
        ? Int4Layout.Zero
        : Int4Layout.Zero + (int)Math.Clamp(Math.Round((float)weight / scale, MidpointRounding.ToEven), -8, 7);
}
