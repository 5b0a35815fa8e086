using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>The registers of one mma, by row and column.</summary>
internal sealed class Tile(TileFormat format)
{
    public const int Rows = 16;
    public const int Columns = 8;

    private readonly uint[] left = new uint[128];
    private readonly uint[] right = new uint[64];
    private readonly float[] accumulators = new float[128];
    private readonly float[] results = new float[128];

    public int Depth => format == TileFormat.Tf32 ? 8 : 16;

    public ReadOnlySpan<uint> LeftRegisters => left;

    public ReadOnlySpan<uint> RightRegisters => right;

    public float[] Accumulators => accumulators;

    /// <summary>Register and lane of an element of A; the half is the column's last bit.</summary>
    public (int Register, int Lane) LeftPlace(int row, int k) => format == TileFormat.Tf32
        ? ((row / 8) + (2 * (k / 4)), (4 * (row % 8)) + (k % 4))
        : ((row / 8) + (2 * (k / 8)), (4 * (row % 8)) + (k % 8 / 2));

    public (int Register, int Lane) RightPlace(int k, int column) => format == TileFormat.Tf32
        ? (k / 4, (4 * column) + (k % 4))
        : (k / 8, (4 * column) + (k % 8 / 2));

    public static (int Register, int Lane) SumPlace(int row, int column) =>
        ((2 * (row / 8)) + (column % 2), (4 * (row % 8)) + (column / 2));

    public Tile Left(int row, int k, double value) => Put(left, LeftPlace(row, k), k, Bits(value));

    public Tile Right(int k, int column, double value) => Put(right, RightPlace(k, column), k, Bits(value));

    /// <summary>One product of row 0 and column 0.</summary>
    public Tile Product(int k, double left, double right) => Left(0, k, left).Right(k, 0, right);

    public Tile LeftBits(int row, int k, uint bits) => Put(left, LeftPlace(row, k), k, bits);

    public Tile RightBits(int k, int column, uint bits) => Put(right, RightPlace(k, column), k, bits);

    public Tile Accumulator(int row, int column, float value)
    {
        (int register, int lane) = SumPlace(row, column);
        accumulators[(32 * register) + lane] = value;
        return this;
    }

    public double LeftValue(int row, int k) => Value(left, LeftPlace(row, k), k);

    public double RightValue(int k, int column) => Value(right, RightPlace(k, column), k);

    public float SumOf(float[] registers, int row, int column)
    {
        (int register, int lane) = SumPlace(row, column);
        return registers[(32 * register) + lane];
    }

    public float[] Multiply(TensorCoreSums sums = TensorCoreSums.RoundedOnce)
    {
        if (format == TileFormat.Tf32)
            TensorCore.MultiplyTf32(left, right, accumulators, results, sums);
        else
            TensorCore.MultiplyHalf(left, right, accumulators, results, format == TileFormat.Bf16, sums);
        return results;
    }

    /// <summary>The element of row 0 and column 0.</summary>
    public float First(TensorCoreSums sums = TensorCoreSums.RoundedOnce) => Multiply(sums)[0];

    public ExactNumber Exact(int row, int column)
    {
        ExactNumber sum = ExactNumber.Of(SumOf(accumulators, row, column));
        for (int k = 0; k < Depth; k++)
            sum += ExactNumber.Of(LeftValue(row, k) * RightValue(k, column));
        return sum;
    }

    /// <summary>Random bits in every operand: all exponents alike, none of them infinite.</summary>
    public Tile FillWithAnything(Random random)
    {
        for (int k = 0; k < Depth; k++)
        {
            for (int row = 0; row < Rows; row++)
                LeftBits(row, k, AnyBits(random));
            for (int column = 0; column < Columns; column++)
                RightBits(k, column, AnyBits(random));
        }

        for (int i = 0; i < accumulators.Length; i++)
            accumulators[i] = BitConverter.UInt32BitsToSingle(((uint)random.Next(0x7f800000)) | ((uint)random.Next(2) << 31));
        return this;
    }

    /// <summary>Numbers of about one, signed, whose exponents span so many bits.</summary>
    public Tile FillWithNumbers(Random random, int leftBits, int rightBits, int accumulatorBits)
    {
        for (int k = 0; k < Depth; k++)
        {
            for (int row = 0; row < Rows; row++)
                Left(row, k, Number(random, leftBits));
            for (int column = 0; column < Columns; column++)
                Right(k, column, Number(random, rightBits));
        }

        for (int i = 0; i < accumulators.Length; i++)
            accumulators[i] = (float)Number(random, accumulatorBits);
        return this;
    }

    private static double Number(Random random, int bits) =>
        Math.ScaleB(1 + random.NextDouble(), -random.Next(bits)) * (random.Next(2) == 0 ? 1 : -1);

    private uint AnyBits(Random random) => format switch
    {
        TileFormat.F16 => (uint)random.Next(0x7c00) | ((uint)random.Next(2) << 15),
        TileFormat.Bf16 => (uint)random.Next(0x7f80) | ((uint)random.Next(2) << 15),
        _ => (uint)random.Next(0x7f800000) | ((uint)random.Next(2) << 31),
    };

    private uint Bits(double value) => format switch
    {
        TileFormat.F16 => BitConverter.HalfToUInt16Bits((Half)value),
        TileFormat.Bf16 => BitConverter.SingleToUInt32Bits((float)value) >> 16,
        _ => BitConverter.SingleToUInt32Bits((float)value),
    };

    private Tile Put(uint[] registers, (int Register, int Lane) place, int k, uint bits)
    {
        ref uint word = ref registers[(32 * place.Register) + place.Lane];
        int shift = 16 * (k % 2);
        word = format == TileFormat.Tf32 ? bits : (word & ~(0xffffu << shift)) | (bits << shift);
        return this;
    }

    private double Value(uint[] registers, (int Register, int Lane) place, int k)
    {
        uint word = registers[(32 * place.Register) + place.Lane];
        ushort half = (ushort)(word >> (16 * (k % 2)));
        return format switch
        {
            TileFormat.F16 => (double)BitConverter.UInt16BitsToHalf(half),
            TileFormat.Bf16 => BitConverter.UInt32BitsToSingle((uint)half << 16),
            _ => BitConverter.UInt32BitsToSingle(word & 0xffffe000u),
        };
    }
}

/// <summary>What the operands of an mma are.</summary>
internal enum TileFormat
{
    F16,
    Bf16,
    Tf32,
}
