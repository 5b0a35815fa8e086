using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// S ← e^g S; d = β (v − Sᵀ k); S ← S + k dᵀ; o = Sᵀ q, row after row. An item is a few words of four value columns of one value
/// head of one sequence, so that whoever reads a piece of the state is the one who writes it.
/// state: [slots, Hv · Dv · Dk], rounded to its type after a chunk's last row and the step's; y: [T, Hv · Dv] and unrounded:
/// [B, Hv · Dv · Dk], float in words of four. Without unrounded every sequence has one row, or a state that needs no rounding.
/// </summary>
internal readonly partial struct RecurrentDeltaRuleKernel<TWord, TState>(
    DeltaRuleWords inputs,
    DeltaShape shape,
    Matrix<TWord> state,
    SlotRows step,
    Matrix<Float4> y,
    Matrix<Float4> unrounded,
    int sequences,
    int wordsPerItem) : IPortableKernel
    where TWord : unmanaged
    where TState : struct, IDeltaStateFormat<TWord>
{
    public int Items => sequences * (y.Columns / wordsPerItem);

    public int ItemsPerSequence => y.Columns / wordsPerItem;

    public int WordsPerItem => wordsPerItem;

    public int Sequences => sequences;

    public static void GatedDeltaRuleRecurrent(Index1D thread, int threads, RecurrentDeltaRuleKernel<TWord, TState> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int itemsPerSequence = y.Columns / wordsPerItem;
        int sequence = item / itemsPerSequence;
        int firstWord = (item - (sequence * itemsPerSequence)) * wordsPerItem;
        int first = step.FirstRow[sequence];
        int rows = step.FirstRow[sequence + 1] - first;
        if (rows == 0)
            return;

        int position = step.Positions[first];
        for (int word = firstWord; word < firstWord + wordsPerItem; word++)
        {
            ArrayView<TWord> columns = Columns(step.StateSlot[sequence], word);
            if (position == 0)
                DeltaState.Clear(columns);
            for (int t = 0; t < rows;)
            {
                int end = TState.Format == DeltaStateFormat.F32 ? rows : XMath.Min(rows, t + ChunkList.RowsToBoundary(position + t));
                Advance(sequence, first + t, end - t, word, columns);
                t = end;
            }
        }
    }

    /// <summary>Where a sequence's state is.</summary>
    public int Slot(int sequence) => step.StateSlot[sequence];

    /// <summary>A row's place in its sequence.</summary>
    public int Position(int row) => step.Positions[row];

    /// <summary>Whether a row is the first of all of its sequence, before which the state is zero.</summary>
    public bool Starts(int row) => step.Positions[row] == 0;

    /// <summary>Four columns of Dk keys each.</summary>
    public ArrayView<TWord> Columns(int slot, int word) => state.Row(slot).SubView(word * shape.KeyHeadDim, shape.KeyHeadDim);

    /// <summary>Takes these four columns of a sequence through rows of one chunk.</summary>
    public void Advance(int sequence, int first, int rows, int word, ArrayView<TWord> columns)
    {
        int keyWords = shape.KeyHeadDim >> 2;
        if (TState.Format == DeltaStateFormat.F32 || unrounded.Columns == 0)
        {
            for (int t = 0; t < rows; t++)
                Step<TWord, TState>(first + t, word, columns, keyWords);
            return;
        }

        ArrayView<Float4> floats = unrounded.Row(sequence).SubView(word * shape.KeyHeadDim, shape.KeyHeadDim);
        for (int c = 0; c < shape.KeyHeadDim; c++)
            floats[c] = TState.Load(columns[c]);
        for (int t = 0; t < rows; t++)
            Step<Float4, F32State>(first + t, word, floats, keyWords);
        for (int c = 0; c < shape.KeyHeadDim; c++)
            columns[c] = TState.Store(floats[c]);
    }

    // One row's update and output of these four columns.
    private void Step<TColumnWord, TColumnState>(int row, int word, ArrayView<TColumnWord> columns, int keyWords)
        where TColumnWord : unmanaged
        where TColumnState : struct, IDeltaStateFormat<TColumnWord>
    {
        int head = word / (shape.ValueHeadDim >> 2);
        int keyHead = head / shape.Ratio;
        ArrayView<Float4> values = inputs.Qkv.Row(row);
        ArrayView<Float4> q = values.SubView(keyHead * keyWords, keyWords);
        ArrayView<Float4> k = values.SubView((shape.KeyHeads + keyHead) * keyWords, keyWords);
        Float4 v = values[(2 * shape.KeyHeads * keyWords) + word];
        float decay = XMath.Exp(inputs.G[row, head]);

        Float4 d = (v - (DeltaState.Dot<TColumnWord, TColumnState>(columns, k, keyWords) * decay)) * inputs.Beta[row, head];

        float o0 = 0;
        float o1 = 0;
        float o2 = 0;
        float o3 = 0;
        for (int i = 0; i < keyWords; i++)
        {
            Float4 ki = k[i];
            Float4 qi = q[i];
            Float4 s0 = (TColumnState.Load(columns[i]) * decay) + (ki * d.X);
            Float4 s1 = (TColumnState.Load(columns[keyWords + i]) * decay) + (ki * d.Y);
            Float4 s2 = (TColumnState.Load(columns[(2 * keyWords) + i]) * decay) + (ki * d.Z);
            Float4 s3 = (TColumnState.Load(columns[(3 * keyWords) + i]) * decay) + (ki * d.W);
            columns[i] = TColumnState.Store(s0);
            columns[keyWords + i] = TColumnState.Store(s1);
            columns[(2 * keyWords) + i] = TColumnState.Store(s2);
            columns[(3 * keyWords) + i] = TColumnState.Store(s3);
            o0 += Float4.Dot(s0, qi);
            o1 += Float4.Dot(s1, qi);
            o2 += Float4.Dot(s2, qi);
            o3 += Float4.Dot(s3, qi);
        }

        y[row, word] = new Float4(o0, o1, o2, o3);
    }
}
