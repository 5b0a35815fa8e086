using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How a checkpoint format packs codes of W [N, K] in 32-bit words; block: whole rows of its matrix of words.</summary>
internal interface IInt4Source
{
    /// <summary>Octets of k that a block has of a row of W.</summary>
    static abstract int Octets(Matrix<int> block);

    /// <summary>The codes of k 8·octet … 8·octet + 7 of a row, four bits each in the order of k; row and octet: within the block.</summary>
    static abstract uint Octet(Matrix<int> block, int row, int octet);
}

/// <summary>qweight [K / 8, N]: bits 4j … of word (o, r) are the code of k = 8o + j.</summary>
internal readonly struct GptqWords : IInt4Source
{
    public static int Octets(Matrix<int> block) => block.Rows;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[octet, row];
}

/// <summary>qweight [K, N / 8]: a word holds eight rows of one k, rows 0, 2, 4, 6, 1, 3, 5, 7 in its nibbles 0 … 7.</summary>
internal readonly struct AwqWords : IInt4Source
{
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

    /// <summary>Where a row's nibble begins: even rows fill a word's lower half, odd rows its upper.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Shift(int row) => (((row & 7) >> 1) * 4) + ((row & 1) * 16);
}

/// <summary>weight_packed [N, K / 8]: bits 4j … of word (r, o) are the code of k = 8o + j, eight more than its signed value.</summary>
internal readonly struct CompressedTensorsWords : IInt4Source
{
    public static int Octets(Matrix<int> block) => block.Columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Octet(Matrix<int> block, int row, int octet) => (uint)block[row, octet];
}
