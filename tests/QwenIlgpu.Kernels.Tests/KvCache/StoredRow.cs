using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What a page holds of one token and head, read byte by byte as the formats are described, in double.</summary>
internal static class StoredRow
{
    // Of f16, in either direction.
    private const double Unit = 1.0 / 1024;

    /// <summary>One of the ways to read a row. block: of one head in one page.</summary>
    public delegate double[] Reader(ReadOnlySpan<UInt4> block, int headDim, int token);

    /// <summary>As attention should see it: scaled, and turned back where the format turns. block: of one head in one page.</summary>
    public static double[] Read<TFormat>(ReadOnlySpan<UInt4> block, int headDim, int token)
        where TFormat : struct, IPageFormat
    {
        double[] values = ReadTurned<TFormat>(block, headDim, token);
        return TFormat.IsQuantized ? Turned(values) : values;
    }

    /// <summary>The same as it lies there.</summary>
    public static double[] ReadTurned<TFormat>(ReadOnlySpan<UInt4> block, int headDim, int token)
        where TFormat : struct, IPageFormat
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(block);
        int rowBytes = bytes.Length / KvCache.PageTokens;
        var values = new double[headDim];
        for (int d = 0; d < headDim; d++)
        {
            values[d] = default(TFormat) switch
            {
                F32PageFormat => BitConverter.ToSingle(bytes[(((token * headDim) + d) * 4)..]),
                Bf16PageFormat => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(bytes[(((token * headDim) + d) * 2)..]) << 16),
                Int8PageFormat => (sbyte)bytes[(token * headDim) + d] * F16At(bytes, (64 * headDim) + (2 * token)),
                Int4PageFormat => ((bytes[((token * headDim) + d) / 2] >> (d % 2 * 4) & 15) * F16At(bytes, (32 * headDim) + (4 * token)))
                    + F16At(bytes, (32 * headDim) + (4 * token) + 2),
                _ => throw new NotSupportedException($"{typeof(TFormat)} rows of {rowBytes} bytes"),
            };
        }

        return values;
    }

    /// <summary>The same less what the middle of the codes, 8 of 4 bits, stands for.</summary>
    public static double[] ReadCentred<TFormat>(ReadOnlySpan<UInt4> block, int headDim, int token)
        where TFormat : struct, IPageFormat
    {
        ReadOnlySpan<byte> scale = MemoryMarshal.AsBytes(block)[((32 * headDim) + (4 * token))..];
        double centre = default(TFormat) is Int4PageFormat ? (8 * F16At(scale, 0)) + F16At(scale, 2) : 0;
        return Array.ConvertAll(ReadTurned<TFormat>(block, headDim, token), x => x - centre);
    }

    /// <summary>Hadamard's matrix by its definition, blocks as large a power of two as divides the head.</summary>
    public static double[] Turned(double[] x)
    {
        int block = 1;
        while (x.Length % (2 * block) == 0)
            block *= 2;
        var y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int first = i / block * block;
            for (int j = 0; j < block; j++)
                y[i] += int.PopCount((i - first) & j) % 2 == 0 ? x[first + j] : -x[first + j];
            y[i] /= Math.Sqrt(block);
        }

        return y;
    }

    /// <summary>
    /// How far each stored element may be from the one that was to be stored, which itself may be so much off: half a step of the scale, which is
    /// at most so much above what the row asks for.
    /// </summary>
    public static double Bound<TFormat>(double[] wanted, int d, double inputError)
        where TFormat : struct, IPageFormat
    {
        double range = Math.Max(wanted.Max(), 0) - Math.Min(wanted.Min(), 0);
        double most = wanted.Max(Math.Abs);
        return inputError + default(TFormat) switch
        {
            F32PageFormat => 0,
            Bf16PageFormat => (Math.Abs(wanted[d]) + inputError) / (1 << 8),

            // The scale, and the zero whose place it begins at, are f16: 2^-10 of themselves above or below, or a step of 2^-24.
            Int8PageFormat => 0.5 / 127 * ((most + inputError) * (1 + Unit)) + 6e-8,
            Int4PageFormat => 0.5 / 15 * ((wanted.Max() - wanted.Min() + (2 * inputError) + (most * Unit)) * (1 + Unit)) + (range * 1e-6) + 6e-8,
            _ => throw new NotSupportedException($"{typeof(TFormat)}"),
        };
    }

    /// <summary>Throws unless pages that were full of ones differ only in the rows, and scales, of these tokens.</summary>
    public static void AssertOnlyThese<TFormat>(UInt4[] pages, int kvHeads, int headDim, IEnumerable<(int Page, int Token)> tokens)
        where TFormat : struct, IPageFormat
    {
        byte[] rest = MemoryMarshal.AsBytes<UInt4>(pages).ToArray();
        int blockBytes = 16 * PageBlock.Words<TFormat>(headDim);
        int rowBytes = TFormat.RowBytes(headDim);
        foreach ((int page, int token) in tokens)
        {
            for (int kvHead = 0; kvHead < kvHeads; kvHead++)
            {
                Span<byte> block = rest.AsSpan(((page * kvHeads) + kvHead) * blockBytes, blockBytes);
                block.Slice(token * rowBytes, rowBytes).Fill(0xff);
                block.Slice((KvCache.PageTokens * rowBytes) + (token * TFormat.ScaleBytes), TFormat.ScaleBytes).Fill(0xff);
            }
        }

        Assert.That(rest, Is.All.EqualTo(0xff));
    }

    /// <summary>The words of one head in one page.</summary>
    public static ReadOnlySpan<UInt4> Block<TFormat>(UInt4[] pages, int kvHeads, int headDim, int page, int kvHead)
        where TFormat : struct, IPageFormat
    {
        int words = PageBlock.Words<TFormat>(headDim);
        return pages.AsSpan(((page * kvHeads) + kvHead) * words, words);
    }

    private static double F16At(ReadOnlySpan<byte> bytes, int offset) => (double)BitConverter.ToHalf(bytes[offset..]);
}
