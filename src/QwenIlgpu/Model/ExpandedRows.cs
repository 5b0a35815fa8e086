using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Rows of quantised weights as floats, for encodings that no device format holds exactly. Any order of rows, from any thread.</summary>
internal abstract class ExpandedRows
{
    /// <summary>Fills a row of W.</summary>
    public abstract void Fill(int row, Span<float> weights);
}

/// <summary>4-bit integers with scales in F32: scale · (code − zero), rounded once.</summary>
internal sealed class ExpandedInt4Rows(Int4Packing packing, int rows, int columns, int[] codes, float[] scales, int[]? zeros, int[] groupOfInput)
    : ExpandedRows
{
    // Which nibble of an AWQ word has the row.
    private static readonly int[] AwqNibbles = [0, 4, 1, 5, 2, 6, 3, 7];

    private readonly int groups = scales.Length / rows;

    public override void Fill(int row, Span<float> weights)
    {
        for (int k = 0; k < columns; k++)
        {
            int group = groupOfInput[k];
            float scale = scales[packing == Int4Packing.CompressedTensors ? (row * groups) + group : (group * rows) + row];
            weights[k] = scale * (CodeOf(row, k) - ZeroOf(row, group));
        }
    }

    private int CodeOf(int row, int k) => packing switch
    {
        Int4Packing.CompressedTensors => Nibble(codes[(row * (long)(columns / 8)) + (k / 8)], k % 8),
        Int4Packing.Awq => Nibble(codes[(k * (long)(rows / 8)) + (row / 8)], AwqNibbles[row % 8]),
        _ => Nibble(codes[(k / 8 * (long)rows) + row], k % 8),
    };

    private int ZeroOf(int row, int group)
    {
        if (zeros is null)
            return Int4Layout.Zero;
        int word = zeros[packing == Int4Packing.CompressedTensors ? (row / 8 * groups) + group : (group * (rows / 8)) + (row / 8)];
        return packing switch
        {
            Int4Packing.GptqV1 => Nibble(unchecked(word + 0x11111111), row % 8),
            Int4Packing.Awq => Nibble(word, AwqNibbles[row % 8]),
            _ => Nibble(word, row % 8),
        };
    }

    private static int Nibble(int word, int index) => (word >>> (4 * index)) & 15;
}

/// <summary>FP4 with any exponents as scales, those of 32 inputs: 2^(e − 127) · value, exactly but for what is too small for a float.</summary>
internal sealed class ExpandedMxRows(int columns, byte[] codes, byte[] exponents) : ExpandedRows
{
    private static readonly float[] Values = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];

    public override void Fill(int row, Span<float> weights)
    {
        for (int k = 0; k < columns; k++)
        {
            int code = codes[(row * (long)(columns / 2)) + (k / 2)] >> (4 * (k % 2));
            float value = (code & 8) == 0 ? Values[code & 7] : -Values[code & 7];
            weights[k] = MathF.ScaleB(value, exponents[(row * (long)(columns / 32)) + (k / 32)] - 127);
        }
    }
}
