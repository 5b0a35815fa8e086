using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The FP4 layout on the host, code by code and scale by scale: the definition of packers and unpackers. Its numbers are those of the
/// formats' own definition, not of <see cref="E2M1"/> and <see cref="Fp8"/>.
/// </summary>
internal sealed class Fp4Reference
{
    private static readonly double[] Magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

    /// <summary>Nothing but padding: codes and scales 0.</summary>
    public Fp4Reference(int rows, int columns)
        : this(
            rows, columns, new UInt4[Fp4Layout.CodeBytes(rows, columns) / 16], new ushort[Fp4Layout.ScaleBytes(rows, columns) / sizeof(ushort)])
    {
    }

    public Fp4Reference(int rows, int columns, UInt4[] codes, ushort[] scales) =>
        (Rows, Columns, Codes, Scales) = (rows, columns, codes, scales);

    public int Rows { get; }

    public int Columns { get; }

    public UInt4[] Codes { get; }

    public ushort[] Scales { get; }

    public int Groups => Fp4Layout.Groups(Columns);

    private int Slots => Fp4Layout.Slots(Columns);

    /// <summary>Codes [rows, columns / 8] and scales [rows, columns / groupSize] of a checkpoint.</summary>
    public static Fp4Reference Pack(uint[] words, byte[] scales, int groupSize, float global, int rows, int columns)
    {
        var packed = new Fp4Reference(rows, columns);
        for (int row = 0; row < rows; row++)
        {
            packed.SetGlobal(row, global);
            for (int k = 0; k < columns; k++)
            {
                packed.SetCode(row, k, (int)(words[((row * columns) + k) / 8] >> (4 * (k % 8))) & 15);
                packed.SetScale(row, k / Fp4Layout.GroupSize, scales[((row * columns) + k) / groupSize]);
            }
        }

        return packed;
    }

    /// <summary>What four bits stand for.</summary>
    public static double Value(int code) => (code < 8 ? 1 : -1) * Magnitudes[code % 8];

    /// <summary>What an E4M3 byte stands for: eight steps to the next power of two, from 2^-6 on down in the steps of that.</summary>
    public static double ScaleValue(byte scale)
    {
        int exponent = (scale >> 3) & 15;
        double mantissa = exponent == 0 ? scale % 8 : 8 + (scale % 8);
        return (scale < 128 ? 1 : -1) * mantissa * Math.Pow(2, Math.Max(exponent, 1) - 10);
    }

    /// <summary>The stored code, padding positions included.</summary>
    public int Code(int row, int k)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, Fp4Layout.ColumnTiles(Columns));
        return (int)(MemoryMarshal.Cast<UInt4, uint>(Codes)[(int)((lane * 4) + word)] >> (4 * nibble)) & 15;
    }

    /// <summary>The stored scale of a row's group, padding included.</summary>
    public byte Scale(int row, int group)
    {
        (long index, int shift) = Fp4Layout.ScalePosition(row, group * Fp4Layout.GroupSize, Slots);
        return (byte)(Scales[index] >> shift);
    }

    /// <summary>The global scale as a row has it.</summary>
    public float Global(int row) => BitConverter.UInt32BitsToSingle(
        ((uint)Scales[Fp4Layout.SlotIndex(row, 0, Slots)] << 16) | Scales[Fp4Layout.SlotIndex(row, 1, Slots)]);

    /// <summary>The weights [rows, columns] that codes and scales stand for.</summary>
    public double[] Unpack()
    {
        var weights = new double[Rows * Columns];
        for (int row = 0; row < Rows; row++)
        {
            for (int k = 0; k < Columns; k++)
                weights[(row * Columns) + k] = Global(row) * ScaleValue(Scale(row, k / Fp4Layout.GroupSize)) * Value(Code(row, k));
        }

        return weights;
    }

    public void SetCode(int row, int k, int code)
    {
        (long lane, int word, int nibble) = Int4Layout.Position(row, k, Fp4Layout.ColumnTiles(Columns));
        ref uint target = ref MemoryMarshal.Cast<UInt4, uint>(Codes.AsSpan())[(int)((lane * 4) + word)];
        target = (target & ~(15u << (4 * nibble))) | ((uint)code << (4 * nibble));
    }

    public void SetScale(int row, int group, byte scale)
    {
        (long index, int shift) = Fp4Layout.ScalePosition(row, group * Fp4Layout.GroupSize, Slots);
        Scales[index] = (ushort)((Scales[index] & ~(255 << shift)) | (scale << shift));
    }

    public void SetGlobal(int row, float global)
    {
        uint bits = BitConverter.SingleToUInt32Bits(global);
        Scales[Fp4Layout.SlotIndex(row, 0, Slots)] = (ushort)(bits >> 16);
        Scales[Fp4Layout.SlotIndex(row, 1, Slots)] = (ushort)bits;
    }
}
