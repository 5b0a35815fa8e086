namespace QwenIlgpu.Kernels;

/// <summary>A thread has the same value columns of every sequence and takes them through all its rows.</summary>
internal readonly unsafe partial struct RecurrentDeltaRuleKernel<TWord, TState> : ICpuShare
{
    public bool TakesShape => RecurrentRows.TakesShape(shape);

    /// <summary>The operands whatever the state's type.</summary>
    public RecurrentRows ShareRows =>
        new(inputs, shape, CpuVectors.Pointer(state.Data), (long)state.Stride * sizeof(TWord), TState.Format, y);

    public void Share(int thread, int threads)
    {
        RecurrentRows rows = ShareRows;
        CpuPart words = rows.Words(thread, threads);
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            int first = step.FirstRow[sequence];
            int last = step.FirstRow[sequence + 1];
            if (first == last)
                continue;
            if (Starts(first))
                rows.Clear(Slot(sequence), words);
            rows.Run(Slot(sequence), words, first, last, step.Positions[first]);
        }
    }
}
