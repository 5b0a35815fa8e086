using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How a checkpoint format lays 4-bit codes [N, K] out in 32-bit words; block: whole rows of its matrix of codes.</summary>
internal interface ICodeSource
{
    /// <summary>Eight codes that stand for zero, for what lies behind the last row and k.</summary>
    static abstract uint Padding { get; }

    /// <summary>Octets of k that a block has of a row of W.</summary>
    static abstract int Octets(Matrix<int> block);

    /// <summary>The codes of k 8·octet … 8·octet + 7 of a row, four bits each in the order of k; row and octet: within the block.</summary>
    static abstract uint Octet(Matrix<int> block, int row, int octet);
}

/// <summary>A format of INT4: codes, 16-bit scales and zero points of groups along K.</summary>
internal interface IInt4Source : ICodeSource
{
    /// <summary>The zero point of a row's group, 0 … 16.</summary>
    static abstract int Zero(Matrix<int> zeros, int row, int group);

    /// <summary>The 16-bit scale of a row's group, as it is.</summary>
    static abstract ushort Scale(Matrix<ushort> scales, int row, int group);
}

/// <summary>
/// GPTQ v2. qweight [K / 8, N]: bits 4j … of word (o, r) are the code of k = 8o + j; qzeros [G, N / 8]: those of word (g, c) are the zero of
/// row 8c + j; scales [G, N].
/// </summary>
internal readonly struct GptqWords : IInt4Source
{
    public static uint Padding => Int4Layout.ZeroWord;

    public static int Octets(Matrix<int> block) => block.Rows;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[octet, row];

    public static int Zero(Matrix<int> zeros, int row, int group) => (zeros[group, row >> 3] >> ((row & 7) * 4)) & 15;

    public static ushort Scale(Matrix<ushort> scales, int row, int group) => scales[group, row];
}

/// <summary>GPTQ v1, whose words of zero points are those of v2 less 0x11111111: a zero of 0 borrows from the nibble above.</summary>
internal readonly struct GptqV1Words : IInt4Source
{
    public static uint Padding => Int4Layout.ZeroWord;

    public static int Octets(Matrix<int> block) => GptqWords.Octets(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => GptqWords.Octet(block, row, octet);

    public static int Zero(Matrix<int> zeros, int row, int group) =>
        (int)((((uint)zeros[group, row >> 3] + 0x11111111u) >> ((row & 7) * 4)) & 15u);

    public static ushort Scale(Matrix<ushort> scales, int row, int group) => GptqWords.Scale(scales, row, group);
}

/// <summary>
/// AWQ. qweight [K, N / 8]: a word holds eight rows of one k, rows 0, 2, 4, 6, 1, 3, 5, 7 in its nibbles 0 … 7; qzeros [G, N / 8] likewise;
/// scales [G, N].
/// </summary>
internal readonly struct AwqWords : IInt4Source
{
    public static uint Padding => Int4Layout.ZeroWord;

    public static int Octets(Matrix<int> block) => block.Rows >> 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet)
    {
        int shift = Shift(row);
        int column = row >> 3;
        uint codes = 0;
        for (int j = 0; j < 8; j++)
            codes |= (((uint)block[(8 * octet) + j, column] >> shift) & 15u) << (4 * j);
        return codes;
    }

    public static int Zero(Matrix<int> zeros, int row, int group) => (zeros[group, row >> 3] >> Shift(row)) & 15;

    public static ushort Scale(Matrix<ushort> scales, int row, int group) => GptqWords.Scale(scales, row, group);

    // Where a row's nibble begins: even rows fill a word's lower half, odd rows its upper.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Shift(int row) => (((row & 7) >> 1) * 4) + ((row & 1) * 16);
}

/// <summary>
/// compressed-tensors. weight_packed [N, K / 8]: bits 4j … of word (r, o) are the code of k = 8o + j, eight more than its signed value;
/// weight_zero_point [N / 8, G]: those of word (c, g) are the zero of row 8c + j, eight more likewise; weight_scale [N, G].
/// </summary>
internal readonly struct CompressedTensorsWords : IInt4Source
{
    public static uint Padding => Int4Layout.ZeroWord;

    public static int Octets(Matrix<int> block) => block.Columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[row, octet];

    public static int Zero(Matrix<int> zeros, int row, int group) => (zeros[row >> 3, group] >> ((row & 7) * 4)) & 15;

    public static ushort Scale(Matrix<ushort> scales, int row, int group) => scales[row, group];
}

/// <summary>FP4 as compressed-tensors' weight_packed and modelopt's weight [N, K / 8] have it: bits 4j … of word (r, o) are k = 8o + j.</summary>
internal readonly struct Fp4Words : ICodeSource
{
    public static uint Padding => 0;

    public static int Octets(Matrix<int> block) => block.Columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[row, octet];
}
