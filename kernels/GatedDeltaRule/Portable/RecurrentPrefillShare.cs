namespace QwenIlgpu.Kernels;

/// <summary>As the share of the rule, chunk after chunk.</summary>
internal readonly partial struct RecurrentPrefillKernel<TWord, TState> : ICpuShare
{
    public bool TakesShape => rule.TakesShape;

    public void Share(int thread, int threads)
    {
        RecurrentRows rows = rule.ShareRows;
        CpuPart words = rows.Words(thread, threads);
        for (int sequence = 0; sequence < rule.Sequences; sequence++)
        {
            int slot = rule.Slot(sequence);
            for (int chunk = chunks.FirstChunk[sequence]; chunk < chunks.FirstChunk[sequence + 1]; chunk++)
            {
                int first = chunks.FirstRow[chunk];
                if (rule.Starts(first))
                    rows.Clear(slot, words);
                rows.Run(slot, words, first, first + chunks.Rows[chunk], rule.Position(first));
                if (snapshotSlot[chunk] >= 0)
                    rows.Copy(slot, snapshotSlot[chunk], words);
            }
        }
    }
}
