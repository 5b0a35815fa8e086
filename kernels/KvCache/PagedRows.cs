using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A step's rows of sequences whose keys and values lie in pages. rowSlot: [T], the row of pageTable that belongs to the row's sequence;
/// positions: [T]; pageTable: [slots, blocks], page id of each 64 tokens.
/// </summary>
internal readonly struct PagedRows(ArrayView<int> rowSlot, ArrayView<int> positions, Matrix<int> pageTable)
{
    public readonly ArrayView<int> RowSlot = rowSlot;
    public readonly ArrayView<int> Positions = positions;
    public readonly Matrix<int> PageTable = pageTable;

    /// <summary>The pages of a row's sequence.</summary>
    public ArrayView<int> Table(int row) => PageTable.Row(RowSlot[row]);

    /// <summary>Throws unless each of an operand's rows has a slot and a position; <paramref name="rowsOf"/>: what they are rows of.</summary>
    public void Check(string op, string rowsOf, int rows)
    {
        Require.Equal(op, "length of rowSlot", RowSlot.Length, rowsOf, rows);
        Require.Equal(op, "length of positions", Positions.Length, rowsOf, rows);
    }
}
