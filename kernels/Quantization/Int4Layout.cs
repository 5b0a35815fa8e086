using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Where the code of (row, k) lies, for packers, unpackers and tests alike; the folder's README draws it. A tile is the A operand of
/// four m16n8k16 steps: lane l = 4·g + t of 32 holds 16 bytes, word j of them step j; within a word nibble p is the first and nibble
/// p + 4 the second element of A register p (0: row g, k 2t; 1: row g + 8, k 2t; 2: row g, k 2t + 8; 3: row g + 8, k 2t + 8).
/// </summary>
internal static class Int4Layout
{
    public const int TileRows = 16;
    public const int TileColumns = 64;
    public const int TileBytes = 512;

    /// <summary>The smallest group: two such groups share a tile.</summary>
    public const int HalfTileColumns = TileColumns / 2;

    /// <summary>16-byte words of a tile: one a lane.</summary>
    public const int TileLanes = 32;

    /// <summary>The zero point of a matrix without any of its own, and the code in every padding position.</summary>
    public const int Zero = 8;

    /// <summary>Eight such codes.</summary>
    public const uint ZeroWord = 0x88888888u;

    /// <summary>2^23, the float whose last bits count ones.</summary>
    public const float CodeBase = 8388608f;

    public static int RowTiles(int rows) => (int)((uint)(rows + TileRows - 1) / TileRows);

    public static int Groups(int columns, int groupSize) => (columns + groupSize - 1) / groupSize;

    public static int ColumnTiles(int columns, int groupSize) =>
        (int)((uint)((Groups(columns, groupSize) * groupSize) + TileColumns - 1) / TileColumns);

    /// <summary>Bytes of a matrix's codes, padding included.</summary>
    public static long CodeBytes(int rows, int columns, int groupSize) =>
        (long)RowTiles(rows) * ColumnTiles(columns, groupSize) * TileBytes;

    /// <summary>Bytes of its scales, padding included.</summary>
    public static long ScaleBytes(int rows, int columns, int groupSize) => ZeroBytes(rows, columns, groupSize) * sizeof(ushort);

    /// <summary>Bytes of its zero points where there are any, padding included.</summary>
    public static long ZeroBytes(int rows, int columns, int groupSize) => (long)RowTiles(rows) * Groups(columns, groupSize) * TileRows;

    public static void CheckGroupSize(string op, string name, int groupSize) => Require.That(
        op,
        groupSize == HalfTileColumns || (groupSize > 0 && groupSize % TileColumns == 0),
        $"group size of {name} is {groupSize}, neither {HalfTileColumns} nor a multiple of {TileColumns}");

    /// <summary>Index of a tile's first 16-byte word.</summary>
    public static long TileStart(int rowTile, int columnTile, int columnTiles) => (((long)rowTile * columnTiles) + columnTile) * TileLanes;

    /// <summary>Index of the scale, and of the zero point, of a row's group.</summary>
    public static long ScaleIndex(int row, int group, int groups) =>
        (((long)((uint)row / TileRows) * groups) + group) * TileRows + (row & (TileRows - 1));

    /// <summary>Offset, from the lane 4·g of a row's tile, of the lane that holds k.</summary>
    public static int LaneOf(int k) => (k & 7) >> 1;

    /// <summary>Where in its lane's 16 bytes k lies for rows g of a tile; rows g + 8 have the next nibble.</summary>
    public static (int Word, int Nibble) InLane(int k) => ((k & (TileColumns - 1)) >> 4, ((k & 15) >> 3 << 1) + ((k & 1) << 2));

    /// <summary>Where (row, k) of a matrix with that many column tiles lies: 16-byte word, 32-bit word within it, nibble within that.</summary>
    public static (long Lane, int Word, int Nibble) Position(int row, int k, int columnTiles)
    {
        int rowInTile = row & (TileRows - 1);
        (int word, int nibble) = InLane(k);
        long tile = TileStart((int)((uint)row / TileRows), (int)((uint)k / TileColumns), columnTiles);
        return (tile + ((rowInTile & 7) * 4) + LaneOf(k), word, nibble + (rowInTile >> 3));
    }

    /// <summary>One of a lane's four words, by number.</summary>
    public static uint Word(UInt4 lane, int word) => word switch
    {
        0 => lane.X,
        1 => lane.Y,
        2 => lane.Z,
        _ => lane.W,
    };

    /// <summary>
    /// The one packer: word of lane 4·g + t for one k16 step. a0, a1: row g's codes of k 0 … 7 and 8 … 15, four bits each in the order
    /// of k; b0, b1: row g + 8's.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint LaneWord(int t, uint a0, uint a1, uint b0, uint b1)
    {
        int shift = 8 * t;                              // codes 2t and 2t + 1 are one byte of each source
        uint first = ((a0 >> shift) & 15u) | (((b0 >> shift) & 15u) << 4) | (((a1 >> shift) & 15u) << 8) | (((b1 >> shift) & 15u) << 12);
        shift += 4;
        uint second = ((a0 >> shift) & 15u) | (((b0 >> shift) & 15u) << 4) | (((a1 >> shift) & 15u) << 8) | (((b1 >> shift) & 15u) << 12);
        return first | (second << 16);
    }

    /// <summary>
    /// The one unpacker: a word's nibble as the weight −8 … 7, exactly. As the last bits of a float 2^23 + code, a code needs no
    /// conversion, only the subtraction of 2^23 + 8.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unpack(uint word, int nibble) => Unpack(word, nibble, CodeBase + Zero);

    /// <summary>The same about another zero point: zeroBase is 2^23 + zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unpack(uint word, int nibble, float zeroBase) =>
        Interop.IntAsFloat(((word >> (4 * nibble)) & 15u) | 0x4b000000u) - zeroBase;
}
