using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>A thread takes whole row tiles, rows g and g + 8 of each together, 32 k at a time.</summary>
internal readonly unsafe partial struct PackFp8Kernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Int8Layout.RowTiles(block.Rows), thread, threads);
        for (int tile = part.From; tile < part.To; tile++)
        {
            for (int g = 0; g < 8; g++)
            {
                int row = (tile * Int8Layout.TileRows) + g;
                UInt4* lanes = CpuVectors.Pointer(codes) + Int8Layout.TileStart(firstRowTile + tile, 0, columnTiles) + (4 * g);
                Fp8Tile.PackRows(Row(row), Row(row + 8), 4 * block.Columns, columnTiles, lanes);
            }
        }
    }

    // Null of a row that there is not.
    private byte* Row(int row) => row < block.Rows ? (byte*)CpuVectors.Row(block, row) : null;
}

/// <summary>Rows g and g + 8 of a row tile of FP8 codes, from bytes in the order of k.</summary>
internal static unsafe class Fp8Tile
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackRows(byte* above, byte* below, int columns, int columnTiles, UInt4* lanes)
    {
        for (int tile = 0; tile < columnTiles; tile++, lanes += Int8Layout.TileLanes)
        {
            int k = tile * Int8Layout.TileColumns;
            (Vector128<uint> first, Vector128<uint> second) = Zipped(Codes(above, k, columns), Codes(below, k, columns));
            (Vector128<uint> third, Vector128<uint> fourth) = Zipped(Codes(above, k + 16, columns), Codes(below, k + 16, columns));

            // Vector j has word j of the four lanes.
            Vector128<ulong> lowLeft = Sse2.UnpackLow(first, second).AsUInt64();
            Vector128<ulong> lowRight = Sse2.UnpackLow(third, fourth).AsUInt64();
            Vector128<ulong> highLeft = Sse2.UnpackHigh(first, second).AsUInt64();
            Vector128<ulong> highRight = Sse2.UnpackHigh(third, fourth).AsUInt64();
            Sse2.UnpackLow(lowLeft, lowRight).Store((ulong*)lanes);
            Sse2.UnpackHigh(lowLeft, lowRight).Store((ulong*)(lanes + 1));
            Sse2.UnpackLow(highLeft, highRight).Store((ulong*)(lanes + 2));
            Sse2.UnpackHigh(highLeft, highRight).Store((ulong*)(lanes + 3));
        }
    }

    // Bytes of the two rows by turns: the words of an octet for four lanes, then those of the next octet.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<uint> First, Vector128<uint> Second) Zipped(Vector128<byte> above, Vector128<byte> below) =>
        (Sse2.UnpackLow(above, below).AsUInt32(), Sse2.UnpackHigh(above, below).AsUInt32());

    // Sixteen codes from k on, zeros where there are none; a row ends with a whole octet.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Codes(byte* row, int k, int columns)
    {
        if (row == null || k >= columns)
            return default;
        return k + 16 <= columns ? Vector128.Load(row + k) : Vector128.CreateScalar(*(ulong*)(row + k)).AsByte();
    }
}
