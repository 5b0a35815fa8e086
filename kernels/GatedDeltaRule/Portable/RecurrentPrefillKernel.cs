using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="RecurrentDeltaRuleKernel{TWord, TState}"/> chunk after chunk, leaving the states after some of them. rule: its operands;
/// chunks: built for its firstRow and positions; snapshotSlot: per chunk a slot that takes the state after it, or −1.
/// </summary>
internal readonly partial struct RecurrentPrefillKernel<TWord, TState>(
    RecurrentDeltaRuleKernel<TWord, TState> rule, ChunkList chunks, ArrayView<int> snapshotSlot) : IPortableKernel
    where TWord : unmanaged
    where TState : struct, IDeltaStateFormat<TWord>
{
    public int Items => rule.Items;

    public static void GatedDeltaRulePrefill(Index1D thread, int threads, RecurrentPrefillKernel<TWord, TState> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int sequence = item / rule.ItemsPerSequence;
        int firstWord = (item - (sequence * rule.ItemsPerSequence)) * rule.WordsPerItem;
        int firstChunk = chunks.FirstChunk[sequence];
        int endChunk = chunks.FirstChunk[sequence + 1];
        if (firstChunk == endChunk)
            return;

        int slot = rule.Slot(sequence);
        for (int word = firstWord; word < firstWord + rule.WordsPerItem; word++)
        {
            ArrayView<TWord> columns = rule.Columns(slot, word);
            if (rule.Starts(chunks.FirstRow[firstChunk]))
                DeltaState.Clear(columns);
            for (int chunk = firstChunk; chunk < endChunk; chunk++)
                Chunk(sequence, chunk, word, columns);
        }
    }

    private void Chunk(int sequence, int chunk, int word, ArrayView<TWord> columns)
    {
        rule.Advance(sequence, chunks.FirstRow[chunk], chunks.Rows[chunk], word, columns);
        int snapshot = snapshotSlot[chunk];
        if (snapshot < 0)
            return;
        ArrayView<TWord> kept = rule.Columns(snapshot, word);
        for (int c = 0; c < columns.IntLength; c++)
            kept[c] = columns[c];
    }
}
