namespace QwenIlgpu.Kernels.Tests;

/// <summary>Rows of several sequences back to back, each with its state slot and the position of its first row.</summary>
internal sealed class PackedStep
{
    public PackedStep(params (int Slot, int Position, int Rows)[] sequences)
    {
        StateSlot = [.. sequences.Select(s => s.Slot)];
        Positions = [.. sequences.SelectMany(s => Enumerable.Range(s.Position, s.Rows))];
        FirstRow = new int[sequences.Length + 1];
        for (int b = 0; b < sequences.Length; b++)
            FirstRow[b + 1] = FirstRow[b] + sequences[b].Rows;
    }

    public int[] FirstRow { get; }

    public int[] Positions { get; }

    public int[] StateSlot { get; }

    public int Rows => Positions.Length;

    public SlotRows On(TestDevice device) => device.UploadRows(FirstRow, Positions, StateSlot);

    /// <summary>With room for so many chunks more than there can be; snapshotSlot: of the first chunks, −1 for all others.</summary>
    public ChunkedRows InChunks(TestDevice device, int spare = 0, int[]? snapshotSlot = null)
    {
        int capacity = ChunkList.MaxChunks(Rows, StateSlot.Length) + spare;
        return new ChunkedRows(
            On(device), device.UploadChunks(FirstRow, Positions, capacity),
            snapshotSlot is null ? null : device.Upload<int>([.. snapshotSlot, .. Enumerable.Repeat(-1, capacity - snapshotSlot.Length)]));
    }
}
