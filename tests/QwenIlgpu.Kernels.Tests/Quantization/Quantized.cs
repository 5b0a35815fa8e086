using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Quantised matrices for tests: random ones on the host, and what is on the host on a device.</summary>
internal static class Quantized
{
    /// <summary>Random codes and finite scales, and random zero points 0 … 16 where there are to be any.</summary>
    public static Int4Reference RandomInt4(int rows, int columns, int groupSize, WeightType scaleType, bool hasZeros)
    {
        var random = new Random((31 * rows) + columns + groupSize);
        var packed = new Int4Reference(rows, columns, groupSize, hasZeros);
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
                packed.SetCode(row, k, random.Next(16));
            for (int group = 0; group < packed.Groups; group++)
            {
                long index = Int4Layout.ScaleIndex(row, group, packed.Groups);
                packed.Scales[index] = Scale16.FromFloat(0.01f + random.NextSingle(), scaleType);
                if (hasZeros)
                    packed.Zeros[index] = (byte)random.Next(17);
            }
        }

        return packed;
    }

    /// <summary>Random codes −128 … 127 and finite scales.</summary>
    public static Int8Reference RandomInt8(int rows, int columns, int groupSize, WeightType scaleType)
    {
        var random = new Random((29 * rows) + columns + groupSize);
        var packed = new Int8Reference(rows, columns, groupSize);
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
                packed.SetCode(row, k, random.Next(-128, 128));
            for (int group = 0; group < packed.Groups; group++)
            {
                packed.Scales[Int8Layout.ScaleIndex(row, group, packed.Groups)] =
                    Scale16.FromFloat(0.001f + (0.1f * random.NextSingle()), scaleType);
            }
        }

        return packed;
    }

    /// <summary>Random codes; scales within four times of one another, of either sign, and one in sixteen subnormal.</summary>
    public static Fp4Reference RandomFp4(int rows, int columns, int seed = 0)
    {
        var random = new Random((23 * rows) + columns + seed);
        float global = 0.01f + random.NextSingle();
        var packed = new Fp4Reference(rows, columns);
        for (int row = 0; row < rows; row++)
        {
            packed.SetGlobal(row, global);
            for (int k = 0; k < columns; k++)
                packed.SetCode(row, k, random.Next(16));
            for (int group = 0; group < packed.Groups; group++)
            {
                int magnitude = random.Next(16) == 0 ? random.Next(8) : random.Next(0x30, 0x40);
                packed.SetScale(row, group, (byte)(magnitude | (random.Next(4) == 0 ? 0x80 : 0)));
            }
        }

        return packed;
    }

    /// <summary>Random codes, none of them NaN, and finite scales.</summary>
    public static Fp8Reference RandomFp8(int rows, int columns, int groupSize, int seed = 0)
    {
        var random = new Random((29 * rows) + columns + groupSize + seed);
        var packed = new Fp8Reference(rows, columns, groupSize);
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
                packed.SetCode(row, k, (byte)(random.Next(0x7f) | (random.Next(2) << 7)));
            for (int group = 0; group < packed.Groups; group++)
                packed.Scales[Int8Layout.ScaleIndex(row, group, packed.Groups)] = 0.001f + (0.1f * random.NextSingle());
        }

        return packed;
    }

    /// <summary>[254, 4]: every code that is no NaN at k 0, and zeros; scale 1.</summary>
    public static Fp8Reference EveryFp8()
    {
        byte[] codes = [.. Enumerable.Range(0, 256).Where(c => (c & 0x7f) != 0x7f).SelectMany(c => new byte[] { (byte)c, 0, 0, 0 })];
        return Fp8Reference.Pack(codes, codes.Length / 4, 4, Int8Layout.TileColumns, [1], codes.Length, 4);
    }

    public static WeightMatrix Upload(TestDevice device, Int4Reference w, WeightType scaleType) => WeightMatrix.Int4(
        device.Upload(w.Codes),
        device.Upload(w.Scales),
        w.Zeros.Length > 0 ? device.Upload(w.Zeros) : default,
        scaleType,
        w.Rows,
        w.Columns,
        w.GroupSize);

    public static WeightMatrix Upload(TestDevice device, Int8Reference w, WeightType scaleType) =>
        WeightMatrix.Int8(device.Upload(w.Codes), device.Upload(w.Scales), scaleType, w.Rows, w.Columns, w.GroupSize);

    public static WeightMatrix Upload(TestDevice device, Fp4Reference w) =>
        WeightMatrix.Fp4(device.Upload(w.Codes), device.Upload(w.Scales), w.Rows, w.Columns);

    public static WeightMatrix Upload(TestDevice device, Fp8Reference w) => WeightMatrix.Fp8(
        device.Upload(w.Codes), device.Upload(MemoryMarshal.Cast<float, ushort>(w.Scales).ToArray()), w.Rows, w.Columns, w.GroupSize);

    /// <summary>A destination of packers: poisoned codes, scales and, where there are to be any, zero points.</summary>
    public static WeightMatrix PoisonedInt4(TestDevice device, int rows, int columns, int groupSize, WeightType scaleType, bool hasZeros) =>
        Poisoned(device, WeightMatrix.Int4(scaleType, rows, columns, groupSize)) with
        {
            Zeros = hasZeros ? device.Poisoned<byte>(Int4Layout.ZeroBytes(rows, columns, groupSize)) : default,
        };

    public static WeightMatrix PoisonedInt8(TestDevice device, int rows, int columns, int groupSize, WeightType scaleType) =>
        Poisoned(device, WeightMatrix.Int8(scaleType, rows, columns, groupSize));

    public static WeightMatrix PoisonedFp4(TestDevice device, int rows, int columns) => Poisoned(device, WeightMatrix.Fp4(rows, columns));

    public static WeightMatrix PoisonedFp8(TestDevice device, int rows, int columns, int groupSize) =>
        Poisoned(device, WeightMatrix.Fp8(rows, columns, groupSize));

    private static WeightMatrix Poisoned(TestDevice device, WeightMatrix like) => like with
    {
        Data = device.Poisoned<UInt4>(like.DataBytes / 16),
        Scales = device.Poisoned<ushort>(like.ScaleBytes / sizeof(ushort)),
    };

    public static Int4Reference Download(TestDevice device, WeightMatrix w) => new(
        w.Rows, w.Columns, w.GroupSize, device.Download(w.Data), device.Download(w.Scales), w.IsSymmetric ? [] : device.Download(w.Zeros));

    public static int[] RandomWords(Random random, int count)
    {
        var words = new int[count];
        random.NextBytes(MemoryMarshal.AsBytes(words.AsSpan()));
        return words;
    }
}
