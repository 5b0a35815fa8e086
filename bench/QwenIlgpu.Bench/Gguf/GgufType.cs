using System.Buffers.Binary;

namespace QwenIlgpu.Bench;

/// <summary>Element types of a GGUF tensor, by the number that the file gives them.</summary>
internal enum GgufType : uint
{
    F32 = 0,
    Q4Zero = 2,
    Q8Zero = 8,
}

/// <summary>Random rows of each type. Blocks of 32 weights: an f16 scale d, then Q4_0: 16 bytes (low nibbles 0…15, high 16…31), w = d·(q − 8); Q8_0: 32 signed bytes, w = d·q.</summary>
internal static class GgufBlocks
{
    public const int Weights = 32;
    private const int ScaleBytes = 2;

    // Standard deviations of whole numbers that are uniform over −8…7 and −128…127, the lowest taken for zero.
    private const double NibbleDeviation = 4.183;
    private const double ByteDeviation = 73.47;

    /// <summary>Bytes of so many elements in a row.</summary>
    public static long Bytes(GgufType type, long elements) => type == GgufType.F32 ? elements * sizeof(float) : elements / Weights * BlockBytes(type);

    /// <summary>Fills whole rows with weights around zero, of the standard deviation asked for.</summary>
    public static void Fill(GgufType type, Span<byte> rows, double deviation, Random random)
    {
        if (type == GgufType.F32)
        {
            double half = deviation * Math.Sqrt(3);
            for (; !rows.IsEmpty; rows = rows[sizeof(float)..])
                BinaryPrimitives.WriteSingleLittleEndian(rows, (float)(((random.NextDouble() * 2) - 1) * half));
            return;
        }

        var scale = (Half)(deviation / (type == GgufType.Q4Zero ? NibbleDeviation : ByteDeviation));
        random.NextBytes(rows);
        for (; !rows.IsEmpty; rows = rows[BlockBytes(type)..])
        {
            BinaryPrimitives.WriteHalfLittleEndian(rows, scale);
            Centre(type, rows[ScaleBytes..BlockBytes(type)]);
        }
    }

    private static int BlockBytes(GgufType type) => ScaleBytes + (type == GgufType.Q4Zero ? Weights / 2 : Weights);

    // The lowest code has no counterpart above zero: it becomes zero, so that weights have no mean that layers would add up.
    private static void Centre(GgufType type, Span<byte> codes)
    {
        foreach (ref byte code in codes)
        {
            if (type == GgufType.Q8Zero)
                code = code == 0x80 ? (byte)0 : code;
            else
                code |= (byte)(((code & 0x0F) == 0 ? 0x08 : 0) | ((code & 0xF0) == 0 ? 0x80 : 0));
        }
    }
}
