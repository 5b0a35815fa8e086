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
}
