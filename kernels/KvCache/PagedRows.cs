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

    /// <summary>Where a row's own key and value lie.</summary>
    public PagePlace PlaceOf(int row)
    {
        int position = Positions[row];
        int block = (int)((uint)position / KvCache.PageTokens);
        return new PagePlace(PageTable[RowSlot[row], block], position - (block * KvCache.PageTokens));
    }

    /// <summary>Throws unless each of an operand's rows has a slot and a position; <paramref name="rowsOf"/>: what they are rows of.</summary>
    public void Check(string op, string rowsOf, int rows)
    {
        Require.Equal(op, "length of rowSlot", RowSlot.Length, rowsOf, rows);
        Require.Equal(op, "length of positions", Positions.Length, rowsOf, rows);
    }
}

/// <summary>A token's place in a page.</summary>
internal readonly struct PagePlace(int page, int token)
{
    public readonly int Page = page;
    public readonly int Token = token;
}
