using System.Numerics;
using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Random weights [rows, columns] of one format on the host: their storage, and the values that it stands for.</summary>
internal sealed class DecodeWeights
{
    private readonly Func<TestDevice, WeightMatrix> upload;

    private DecodeWeights(double[] values, Func<TestDevice, WeightMatrix> upload) => (Values, this.upload) = (values, upload);

    /// <summary>[rows, columns]</summary>
    public double[] Values { get; }

    /// <summary>format: int4, int4z (with zero points), int8, fp8 (with f32 scales), fp4, bf16, f16. group: of the first four, 0 for a row.</summary>
    public static DecodeWeights Random(string format, int rows, int columns, int group, WeightType scaleType, int seed)
    {
        var random = new Random(seed + (31 * rows) + columns);
        return format switch
        {
            "int4" => Int4(random, rows, columns, group, scaleType, symmetric: true),
            "int4z" => Int4(random, rows, columns, group, scaleType, symmetric: false),
            "int8" => Int8(random, rows, columns, group == 0 ? Int8Layout.RowGroup(columns) : group, scaleType),
            "fp4" => Fp4(Quantized.RandomFp4(rows, columns, seed)),
            "fp8" => Of(Quantized.RandomFp8(rows, columns, group == 0 ? Int8Layout.RowGroup(columns) : group, seed)),
            "bf16" => Dense(random, rows, columns, WeightType.Bf16),
            _ => Dense(random, rows, columns, WeightType.F16),
        };
    }

    /// <summary>FP4 [16, 256] of every code times every scale that is a number.</summary>
    public static DecodeWeights EveryFp4()
    {
        var w = new Fp4Reference(16, 256);
        for (int row = 0; row < 16; row++)
        {
            w.SetGlobal(row, 0.37f);
            for (int k = 0; k < 256; k++)
            {
                w.SetCode(row, k, k % 16);
                int scale = (16 * row) + (k / 16);
                w.SetScale(row, k / 16, (byte)(scale % 128 == 127 ? 0 : scale));
            }
        }

        return Fp4(w);
    }

    public static DecodeWeights Of(Fp8Reference w) => new(w.Unpack(), device => Quantized.Upload(device, w));

    public WeightMatrix Upload(TestDevice device) => upload(device);

    /// <summary>INT4 of the same values, each nibble of a lane's words in the place of the next.</summary>
    public DecodeWeights WithRotatedNibbles() => new(Values, device =>
    {
        WeightMatrix w = upload(device);
        UInt4[] rotated =
            Array.ConvertAll(device.Download(w.Data), c => new UInt4(Rotated(c.X), Rotated(c.Y), Rotated(c.Z), Rotated(c.W)));
        return w with { Data = device.Upload(rotated) };
    });

    /// <summary>INT4 of the same values, an even number of groups a row, each with its neighbour's scales.</summary>
    public DecodeWeights WithNeighboursScales() => new(Values, device =>
    {
        WeightMatrix w = upload(device);
        ushort[] scales = device.Download(w.Scales);
        return w with { Scales = device.Upload([.. scales.Select((_, i) => scales[i ^ Int4Layout.TileRows])]) };
    });

    private static DecodeWeights Int4(Random random, int rows, int columns, int group, WeightType scaleType, bool symmetric)
    {
        var codes = new UInt4[Int4Layout.CodeBytes(rows, columns, group) / 16];
        var scales = new ushort[Int4Layout.ScaleBytes(rows, columns, group) / sizeof(ushort)];
        var zeros = new byte[symmetric ? 0 : scales.Length];
        Span<uint> words = MemoryMarshal.Cast<UInt4, uint>(codes.AsSpan());
        words.Fill(0x88888888u);
        int groups = Int4Layout.Groups(columns, group);
        int columnTiles = Int4Layout.ColumnTiles(columns, group);
        var values = new double[rows * columns];
        for (int r = 0; r < rows; r++)
        {
            for (int g = 0; g < groups; g++)
            {
                long at = Int4Layout.ScaleIndex(r, g, groups);
                (scales[at], double scale) = Scale(random, scaleType);
                int zero = symmetric ? Int4Layout.Zero : random.Next(17);
                if (!symmetric)
                    zeros[at] = (byte)zero;
                for (int k = g * group; k < Math.Min((g + 1) * group, columns); k++)
                {
                    int code = random.Next(16);
                    (long lane, int word, int nibble) = Int4Layout.Position(r, k, columnTiles);
                    ref uint target = ref words[(int)((lane * 4) + word)];
                    target = (target & ~(15u << (4 * nibble))) | ((uint)code << (4 * nibble));
                    values[(r * columns) + k] = scale * (code - zero);
                }
            }
        }

        return new DecodeWeights(values, device => WeightMatrix.Int4(
            device.Upload(codes), device.Upload(scales), symmetric ? default : device.Upload(zeros), scaleType, rows, columns, group));
    }

    private static DecodeWeights Int8(Random random, int rows, int columns, int group, WeightType scaleType)
    {
        var codes = new UInt4[Int8Layout.CodeBytes(rows, columns, group) / 16];
        var scales = new ushort[Int8Layout.ScaleBytes(rows, columns, group) / sizeof(ushort)];
        Span<byte> bytes = MemoryMarshal.AsBytes(codes.AsSpan());
        int groups = Int8Layout.Groups(columns, group);
        int columnTiles = Int8Layout.ColumnTiles(columns, group);
        var values = new double[rows * columns];
        for (int r = 0; r < rows; r++)
        {
            for (int g = 0; g < groups; g++)
            {
                (scales[Int8Layout.ScaleIndex(r, g, groups)], double scale) = Scale(random, scaleType);
                for (int k = g * group; k < Math.Min((g + 1) * group, columns); k++)
                {
                    int code = random.Next(-128, 128);
                    (long lane, int word, int index) = Int8Layout.Position(r, k, columnTiles);
                    bytes[(int)((lane * 16) + (word * 4) + index)] = (byte)(sbyte)code;
                    values[(r * columns) + k] = scale * code;
                }
            }
        }

        return new DecodeWeights(values, device => WeightMatrix.Int8(
            device.Upload(codes), device.Upload(scales), scaleType, rows, columns, group));
    }

    private static DecodeWeights Fp4(Fp4Reference w) => new(w.Unpack(), device => Quantized.Upload(device, w));

    private static DecodeWeights Dense(Random random, int rows, int columns, WeightType type)
    {
        float[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => (random.NextSingle() * 2) - 1)];
        UInt4[] words = DenseReference.Pack(type, values, rows, columns);
        return new DecodeWeights(
            DenseReference.Unpack(type, words, rows, columns), device => WeightMatrix.Dense(type, device.Upload(words), rows, columns));
    }

    private static uint Rotated(uint word) => BitOperations.RotateLeft(word, 4);

    // Neighbouring groups differ by up to four times.
    private static (ushort Bits, double Value) Scale(Random random, WeightType type)
    {
        float scale = 0.01f * (1 + (3 * random.NextSingle()));
        ushort bits = type == WeightType.F16 ? BitConverter.HalfToUInt16Bits((System.Half)scale) : Bf16.FromFloat(scale);
        return (bits, type == WeightType.F16 ? (double)BitConverter.UInt16BitsToHalf(bits) : Bf16.ToFloat(bits));
    }
}
