using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Where the code of (row, k) lies, for packers, unpackers and tests alike; the folder's README draws it. A tile is the A operand of
/// two m16n8k16 steps: lane l = 4·g + t of 32 holds 16 bytes, words 2s and 2s + 1 of them step s. Word 2s has A registers 0 (row g,
/// k 2t) and 1 (row g + 8, k 2t), word 2s + 1 registers 2 and 3 (k 2t + 8); bytes 0 and 2 are the elements of the even register,
/// bytes 1 and 3 those of the odd one.
/// </summary>
internal static class Int8Layout
{
    public const int TileRows = 16;
    public const int TileColumns = 32;
    public const int TileBytes = 512;

    /// <summary>16-byte words of a tile: one a lane.</summary>
    public const int TileLanes = 32;

    public static int RowTiles(int rows) => (int)((uint)(rows + TileRows - 1) / TileRows);

    public static int Groups(int columns, int groupSize) => (columns + groupSize - 1) / groupSize;

    public static int ColumnTiles(int columns, int groupSize) => Groups(columns, groupSize) * (int)((uint)groupSize / TileColumns);

    /// <summary>Bytes of a matrix's codes, padding included.</summary>
    public static long CodeBytes(int rows, int columns, int groupSize) =>
        (long)RowTiles(rows) * ColumnTiles(columns, groupSize) * TileBytes;

    /// <summary>Bytes of its scales, padding included.</summary>
    public static long ScaleBytes(int rows, int columns, int groupSize) =>
        (long)RowTiles(rows) * Groups(columns, groupSize) * TileRows * sizeof(ushort);

    public static void CheckGroupSize(string op, string name, int groupSize) => Require.That(
        op, groupSize > 0 && groupSize % TileColumns == 0, $"group size of {name} is {groupSize}, not a multiple of {TileColumns}");

    /// <summary>The group size that gives each row one scale: its columns, padded to whole tiles.</summary>
    public static int RowGroup(int columns) => (columns + TileColumns - 1) & ~(TileColumns - 1);

    /// <summary>Index of a tile's first 16-byte word.</summary>
    public static long TileStart(int rowTile, int columnTile, int columnTiles) => (((long)rowTile * columnTiles) + columnTile) * TileLanes;

    /// <summary>Index of the scale of a row's group.</summary>
    public static long ScaleIndex(int row, int group, int groups) =>
        (((long)((uint)row / TileRows) * groups) + group) * TileRows + (row & (TileRows - 1));

    /// <summary>Where (row, k) of a matrix with that many column tiles lies: 16-byte word, word within it, byte within that.</summary>
    public static (long Lane, int Word, int Byte) Position(int row, int k, int columnTiles)
    {
        int rowInTile = row & (TileRows - 1);
        long tile = TileStart((int)((uint)row / TileRows), (int)((uint)k / TileColumns), columnTiles);
        long lane = tile + ((rowInTile & 7) * 4) + ((k & 7) >> 1);
        return (lane, ((k & (TileColumns - 1)) >> 4 << 1) + ((k & 15) >> 3), (rowInTile >> 3) + ((k & 1) * 2));
    }

    /// <summary>The one packer: word of lane 4·g + t from two neighbouring codes of rows g (a) and g + 8 (b), eight bits each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint LaneWord(uint aFirst, uint aSecond, uint bFirst, uint bSecond) =>
        (aFirst & 255u) | ((bFirst & 255u) << 8) | ((aSecond & 255u) << 16) | ((bSecond & 255u) << 24);

    /// <summary>The same from octets of k of the two rows, a byte a code: lane 4·g + t has codes 2t and 2t + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint LaneWord(int t, UInt2 a, UInt2 b)
    {
        int shift = 16 * (t & 1);
        uint first = (t < 2 ? a.X : a.Y) >> shift;
        uint second = (t < 2 ? b.X : b.Y) >> shift;
        return LaneWord(first, first >> 8, second, second >> 8);
    }

    /// <summary>
    /// The one unpacker: a word's byte as the weight −128 … 127, exactly. With its sign flipped a code is 128 more; as the last bits of a
    /// float 2^23 + code it needs no conversion, only the subtraction of 2^23 + 128.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unpack(uint word, int index) =>
        Interop.IntAsFloat((((word ^ 0x80808080u) >> (8 * index)) & 255u) | 0x4b000000u) - (8388608f + 128);
}
