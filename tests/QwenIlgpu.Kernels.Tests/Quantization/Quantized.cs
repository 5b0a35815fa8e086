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

    public static Int4Matrix Upload(TestDevice device, Int4Reference w, WeightType scaleType) => new(
        device.Upload(w.Codes),
        device.Upload(w.Scales),
        w.Zeros.Length > 0 ? device.Upload(w.Zeros) : default,
        scaleType,
        w.Rows,
        w.Columns,
        w.GroupSize);

    public static Int8Matrix Upload(TestDevice device, Int8Reference w, WeightType scaleType) =>
        new(device.Upload(w.Codes), device.Upload(w.Scales), scaleType, w.Rows, w.Columns, w.GroupSize);

    /// <summary>A destination of packers: poisoned codes, scales and, where there are to be any, zero points.</summary>
    public static Int4Matrix PoisonedInt4(TestDevice device, int rows, int columns, int groupSize, WeightType scaleType, bool hasZeros) =>
        new(
            device.Poisoned<UInt4>(Int4Matrix.CodeBytes(rows, columns, groupSize) / 16),
            device.Poisoned<ushort>(Int4Matrix.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)),
            hasZeros ? device.Poisoned<byte>(Int4Matrix.ZeroBytes(rows, columns, groupSize)) : default,
            scaleType,
            rows,
            columns,
            groupSize);

    public static Int8Matrix PoisonedInt8(TestDevice device, int rows, int columns, int groupSize, WeightType scaleType) => new(
        device.Poisoned<UInt4>(Int8Matrix.CodeBytes(rows, columns, groupSize) / 16),
        device.Poisoned<ushort>(Int8Matrix.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)),
        scaleType,
        rows,
        columns,
        groupSize);

    public static Int4Reference Download(TestDevice device, Int4Matrix w) => new(
        w.Rows, w.Columns, w.GroupSize, device.Download(w.Codes), device.Download(w.Scales), w.IsSymmetric ? [] : device.Download(w.Zeros));

    public static int[] RandomWords(Random random, int count)
    {
        var words = new int[count];
        random.NextBytes(MemoryMarshal.AsBytes(words.AsSpan()));
        return words;
    }
}
