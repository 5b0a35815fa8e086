using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// FP4 [Rows, Columns]: codes lie as those of <see cref="Int4Layout"/>, so that word j of a lane is the group of 16 that is step j of its
/// tile. Scales lie in slots of sixteen 16-bit elements, one a row: of a row tile slots 0 and 1 are the upper and the lower half of the
/// global float, slots 2 + 2·C and 3 + 2·C the bytes of the four groups of tile C, two a slot, the earlier one low.
/// </summary>
internal static class Fp4Layout
{
    /// <summary>Neighbouring k that share a scale: a k16 step of a tile.</summary>
    public const int GroupSize = 16;

    /// <summary>Slots of the global scale, before those of the first tile.</summary>
    public const int GlobalSlots = 2;

    /// <summary>Slots of a tile.</summary>
    public const int TileSlots = 2;

    public static int Groups(int columns) => (columns + GroupSize - 1) / GroupSize;

    public static int ColumnTiles(int columns) => Int4Layout.ColumnTiles(columns, Int4Layout.TileColumns);

    /// <summary>Slots of a row tile.</summary>
    public static int Slots(int columns) => GlobalSlots + (TileSlots * ColumnTiles(columns));

    /// <summary>Bytes of a matrix's codes, padding included.</summary>
    public static long CodeBytes(int rows, int columns) => Int4Layout.CodeBytes(rows, columns, Int4Layout.TileColumns);

    /// <summary>Bytes of its scales, padding included.</summary>
    public static long ScaleBytes(int rows, int columns) =>
        (long)Int4Layout.RowTiles(rows) * Slots(columns) * Int4Layout.TileRows * sizeof(ushort);

    public static void CheckGroupSize(string op, string name, int groupSize) =>
        Require.Equal(op, $"group size of {name}", groupSize, "that of FP4", GroupSize);

    /// <summary>Index of a row's element of a slot.</summary>
    public static long SlotIndex(int row, int slot, int slots) => Int4Layout.ScaleIndex(row, slot, slots);

    /// <summary>The element that holds the scale of (row, k), and the bit at which its byte begins.</summary>
    public static (long Index, int Shift) ScalePosition(int row, int k, int slots)
    {
        int group = (int)((uint)k / GroupSize);
        return (SlotIndex(row, GlobalSlots + (group >> 1), slots), 8 * (group & 1));
    }

    /// <summary>The global scale as a row has it.</summary>
    public static float Global(ArrayView<ushort> scales, int row, int slots)
    {
        long upper = SlotIndex(row, 0, slots);
        return Interop.IntAsFloat(((uint)scales[upper] << 16) | scales[upper + Int4Layout.TileRows]);
    }
}
