using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// GPTQ's words, whose neighbours are rows: eight words of sixteen rows are a tile. A thread takes neighbouring tiles of a column of tiles,
/// so that it reads eight rows of words on and on. Words whose neighbours are k: neighbouring tiles of a row tile.
/// </summary>
internal readonly unsafe partial struct PackInt4Kernel<TSource> : ICpuShare
{
    public bool TakesShape => typeof(TSource) == typeof(GptqWords) || HasRowsOfWords;

    private static bool HasRowsOfWords => typeof(TSource) == typeof(CompressedTensorsWords) || typeof(TSource) == typeof(Fp4Words);

    public void Share(int thread, int threads)
    {
        int rowTiles = Int4Layout.RowTiles(rows);
        CpuPart part = CpuPart.Of(rowTiles * blockColumnTiles, thread, threads);
        for (int tile = part.From; tile < part.To; tile++)
        {
            int rowTile = HasRowsOfWords ? tile / blockColumnTiles : tile % rowTiles;
            int columnTile = HasRowsOfWords ? tile % blockColumnTiles : tile / rowTiles;
            UInt4* lanes = CpuVectors.Pointer(codes) + Int4Layout.TileStart(firstRowTile + rowTile, firstColumnTile + columnTile, columnTiles);
            if (HasRowsOfWords)
                RowWordsTile.Pack(block, rowTile * Int4Layout.TileRows, columnTile * TileOctets, rows, TSource.Padding, (uint*)lanes);
            else
                GptqTile.Pack(block, rowTile * Int4Layout.TileRows, columnTile * TileOctets, rows, (uint*)lanes);
        }
    }
}

/// <summary>One tile of INT4 codes from GPTQ's words: block [K / 8, N], bits 4j … of word (o, r) the code of k = 8o + j.</summary>
internal static unsafe class GptqTile
{
    private const uint EvenCodes = 0x0f0f0f0fu;

    /// <summary>Packs octets from <paramref name="octet"/> on of sixteen rows; what lies behind the block's last octet or row stands for zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(Matrix<int> block, int row, int octet, int rows, uint* lanes)
    {
        for (int word = 0; word < 4; word++)
        {
            Vector512<uint> first = Octet(block, row, octet + (2 * word), rows);
            Vector512<uint> second = Octet(block, row, octet + (2 * word) + 1, rows);
            Vector256<uint> firstEven = Even(first), firstOdd = Odd(first), secondEven = Even(second), secondOdd = Odd(second);
            for (int t = 0; t < 4; t++)
            {
                Vector256<uint> low = Vector256.Create(255u);
                Vector256<uint> words = ((firstEven >> (8 * t)) & low) | (((secondEven >> (8 * t)) & low) << 8)
                    | (((firstOdd >> (8 * t)) & low) << 16) | ((secondOdd >> (8 * t)) << 24);
                for (int g = 0; g < 8; g++)
                    lanes[(16 * g) + (4 * t) + word] = words[g];
            }
        }
    }

    // Of rows g, below them rows g + 8 in the upper four bits of each byte: codes 2t in byte t.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Even(Vector512<uint> octet) =>
        (octet.GetLower() & Vector256.Create(EvenCodes)) | ((octet.GetUpper() & Vector256.Create(EvenCodes)) << 4);

    // The same of codes 2t + 1.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Odd(Vector512<uint> octet) =>
        ((octet.GetLower() >> 4) & Vector256.Create(EvenCodes)) | (octet.GetUpper() & Vector256.Create(~EvenCodes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Octet(Matrix<int> block, int row, int octet, int rows)
    {
        if (octet >= block.Rows)
            return Vector512.Create(Int4Layout.ZeroWord);
        uint* words = (uint*)CpuVectors.Row(block, octet) + row;
        return row + Int4Layout.TileRows <= rows ? Vector512.Load(words) : Tail(words, rows - row);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<uint> Tail(uint* words, int count)
    {
        uint* whole = stackalloc uint[Int4Layout.TileRows];
        for (int i = 0; i < Int4Layout.TileRows; i++)
            whole[i] = i < count ? words[i] : Int4Layout.ZeroWord;
        return Vector512.Load(whole);
    }
}

/// <summary>One tile of four-bit codes from rows of words: block [N, K / 8], bits 4j … of word (r, o) the code of k = 8o + j.</summary>
internal static unsafe class RowWordsTile
{
    private const int Octets = Int4Layout.TileColumns / 8;

    /// <summary>Packs octets from <paramref name="octet"/> on of sixteen rows; what lies behind the block's last octet or row is padding.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(Matrix<int> block, int row, int octet, int rows, uint padding, uint* lanes)
    {
        Vector256<byte> low = Vector256.Create((byte)15);

        // Of four octets byte t of each one after the other, t by t.
        Vector256<byte> byBytes = Vector256.Create(
            (byte)0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for (int g = 0; g < 8; g++, lanes += 16)
        {
            Vector256<byte> above = Row(block, row + g, octet, rows, padding);
            Vector256<byte> below = Row(block, row + g + 8, octet, rows, padding);

            // Codes 2t of an octet in its byte t, rows g + 8 in the upper four bits; codes 2t + 1 likewise.
            Vector256<byte> even = (above & low) | ((below & low).AsUInt32() << 4).AsByte();
            Vector256<byte> odd = ((above.AsUInt32() >>> 4).AsByte() & low) | (below & ~low);
            Vector256<ushort> evenPairs = Avx2.Shuffle(even, byBytes).AsUInt16();
            Vector256<ushort> oddPairs = Avx2.Shuffle(odd, byBytes).AsUInt16();

            // Words 0 and 1 of two lanes in one half, words 2 and 3 in the other.
            Avx2.Permute4x64(Avx2.UnpackLow(evenPairs, oddPairs).AsUInt64(), 0b11_01_10_00).AsUInt32().Store(lanes);
            Avx2.Permute4x64(Avx2.UnpackHigh(evenPairs, oddPairs).AsUInt64(), 0b11_01_10_00).AsUInt32().Store(lanes + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Row(Matrix<int> block, int row, int octet, int rows, uint padding)
    {
        if (row >= rows)
            return Vector256.Create(padding).AsByte();
        uint* words = (uint*)CpuVectors.Row(block, row) + octet;
        return (octet + Octets <= block.Columns ? Vector256.Load(words) : Tail(words, block.Columns - octet, padding)).AsByte();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector256<uint> Tail(uint* words, int count, uint padding)
    {
        uint* whole = stackalloc uint[Octets];
        for (int i = 0; i < Octets; i++)
            whole[i] = i < count ? words[i] : padding;
        return Vector256.Load(whole);
    }
}
