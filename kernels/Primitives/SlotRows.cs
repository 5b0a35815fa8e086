using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A step's rows of B sequences, back to back, whose states lie in numbered slots. firstRow: [B + 1], of each sequence, and T; positions:
/// [T], consecutive in a sequence; stateSlot: [B].
/// </summary>
internal readonly struct SlotRows(ArrayView<int> firstRow, ArrayView<int> positions, ArrayView<int> stateSlot)
{
    public readonly ArrayView<int> FirstRow = firstRow;
    public readonly ArrayView<int> Positions = positions;
    public readonly ArrayView<int> StateSlot = stateSlot;

    /// <summary>B: sequences of the step.</summary>
    public int Sequences => (int)StateSlot.Length;

    /// <summary>Throws unless the lengths agree with one another and with the rows of an operand, which <paramref name="rowsOf"/> names.</summary>
    public void Check(string op, string rowsOf, int rows)
    {
        Require.Equal(op, "length of firstRow", FirstRow.Length, "sequences + 1", StateSlot.Length + 1);
        Require.Equal(op, "length of positions", Positions.Length, rowsOf, rows);
    }
}

/// <summary>
/// The same rows in chunks. chunks: built by <see cref="ChunkList.Build"/> for the same firstRow and positions; snapshotSlot: [capacity], per
/// chunk a slot that takes the state after it and that nothing else in the step has, or −1; null: no chunk's state is kept. All views lie
/// side by side: with structures of them inside ILGPU fails now and then to compile a kernel.
/// </summary>
internal readonly struct ChunkedRows(SlotRows rows, ChunkList chunks, ArrayView<int>? snapshotSlot = null)
{
    public readonly ArrayView<int> FirstRow = rows.FirstRow;
    public readonly ArrayView<int> Positions = rows.Positions;
    public readonly ArrayView<int> StateSlot = rows.StateSlot;
    public readonly ArrayView<int> ChunkFirstRow = chunks.FirstRow;
    public readonly ArrayView<int> RowsOfChunk = chunks.Rows;
    public readonly ArrayView<int> FirstChunk = chunks.FirstChunk;

    /// <summary>Empty where no chunk's state is kept.</summary>
    public readonly ArrayView<int> SnapshotSlot = snapshotSlot ?? rows.StateSlot.SubView(0, 0);

    public SlotRows Rows => new(FirstRow, Positions, StateSlot);

    public ChunkList Chunks => new(ChunkFirstRow, RowsOfChunk, FirstChunk);

    /// <summary>Throws unless the lengths of the chunks agree with one another and with the sequences.</summary>
    public void CheckChunks(string op)
    {
        Require.Equal(op, "length of the chunks' rows", RowsOfChunk.Length, "of their first rows", ChunkFirstRow.Length);
        Require.Equal(op, "length of the chunks' firstChunk", FirstChunk.Length, "sequences + 1", StateSlot.Length + 1);
        if (SnapshotSlot.Length > 0)
            Require.Equal(op, "length of snapshotSlot", SnapshotSlot.Length, "chunks", RowsOfChunk.Length);
    }
}
