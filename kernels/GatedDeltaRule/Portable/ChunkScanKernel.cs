using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Carries the state through a sequence's chunks: V′ = U − W S; O = diag(e^γ) Q S + P V′; S ← e^γ_last S + (diag(e^(γ_last − γ)) K)ᵀ V′.
/// An item is a few words of four value columns of one value head of one sequence.
/// qkv: [T, Channels] and y: [T, Hv · Dv], float in words of four; state: [slots, Hv · Dv · Dk], rounded to its type after every chunk; of
/// the parts U is overwritten.
/// </summary>
internal readonly struct ChunkScanKernel<TWord, TState>(
    Matrix<Float4> qkv,
    DeltaShape shape,
    Matrix<TWord> state,
    ChunkedRows step,
    ChunkParts parts,
    Matrix<Float4> y,
    int sequences,
    int wordsPerItem) : IPortableKernel
    where TWord : unmanaged
    where TState : struct, IDeltaStateFormat<TWord>
{
    private const int ChunkWords = ChunkList.ChunkRows / 4;

    public int Items => sequences * (y.Columns / wordsPerItem);

    public static void DeltaChunkScan(Index1D thread, int threads, ChunkScanKernel<TWord, TState> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int itemsPerSequence = y.Columns / wordsPerItem;
        int sequence = item / itemsPerSequence;
        int firstWord = (item - (sequence * itemsPerSequence)) * wordsPerItem;
        int firstChunk = step.FirstChunk[sequence];
        int endChunk = step.FirstChunk[sequence + 1];
        if (firstChunk == endChunk)
            return;

        int keyWords = shape.KeyHeadDim >> 2;
        bool starts = step.Positions[step.FirstRow[sequence]] == 0;
        ArrayView<TWord> slot = state.Row(step.StateSlot[sequence]);
        for (int word = firstWord; word < firstWord + wordsPerItem; word++)
        {
            ArrayView<TWord> columns = slot.SubView(word * 4 * keyWords, 4 * keyWords);    // four columns of Dk keys each
            if (starts)
                DeltaState.Clear(columns);
            for (int chunk = firstChunk; chunk < endChunk; chunk++)
            {
                Chunk(step.ChunkFirstRow[chunk], step.RowsOfChunk[chunk], word, columns, keyWords);
                int snapshot = step.SnapshotSlot.Length > 0 ? step.SnapshotSlot[chunk] : -1;
                for (int c = 0; snapshot >= 0 && c < 4 * keyWords; c++)
                    state[snapshot, (word * 4 * keyWords) + c] = columns[c];
            }
        }
    }

    private void Chunk(int first, int rows, int word, ArrayView<TWord> columns, int keyWords)
    {
        int head = word / (shape.ValueHeadDim >> 2);
        int keyHead = head / shape.Ratio;
        int stride = parts.U.Stride;
        ArrayView<Float4> v = parts.U.Data.SubView(((long)first * stride) + word, ((long)(rows - 1) * stride) + 1);
        for (int i = 0; i < rows; i++)
        {
            int row = first + i;
            ArrayView<Float4> q = qkv.Row(row).SubView(keyHead * keyWords, keyWords);
            Read(row, head, word, columns, q, keyWords, v, i);
        }

        for (int i = 0; i < rows; i++)
            v[i * stride] *= parts.Decays.After[first + i, head];
        long keys = ((long)first * qkv.Stride) + ((shape.KeyHeads + keyHead) * keyWords);
        ArrayView<Float4> k = qkv.Data.SubView(keys, ((long)(rows - 1) * qkv.Stride) + keyWords);
        Update(columns, parts.Decays.Before[first + rows - 1, head], k, v, rows, keyWords);
    }

    // Row i of V′ and of O; both products with S share its loads.
    private void Read(
        int row, int head, int word, ArrayView<TWord> columns, ArrayView<Float4> q, int keyWords, ArrayView<Float4> v, int i)
    {
        ArrayView<Float4> wRow = parts.W.Row(row).SubView(head * keyWords, keyWords);
        float w0 = 0;
        float w1 = 0;
        float w2 = 0;
        float w3 = 0;
        float q0 = 0;
        float q1 = 0;
        float q2 = 0;
        float q3 = 0;
        for (int c = 0; c < keyWords; c++)
        {
            Float4 wc = wRow[c];
            Float4 qc = q[c];
            Float4 s = TState.Load(columns[c]);
            w0 += Float4.Dot(s, wc);
            q0 += Float4.Dot(s, qc);
            s = TState.Load(columns[keyWords + c]);
            w1 += Float4.Dot(s, wc);
            q1 += Float4.Dot(s, qc);
            s = TState.Load(columns[(2 * keyWords) + c]);
            w2 += Float4.Dot(s, wc);
            q2 += Float4.Dot(s, qc);
            s = TState.Load(columns[(3 * keyWords) + c]);
            w3 += Float4.Dot(s, wc);
            q3 += Float4.Dot(s, qc);
        }

        v[i * parts.U.Stride] -= new Float4(w0, w1, w2, w3);
        ArrayView<Float4> pRow = parts.P.Row(row).SubView(head * ChunkWords, ChunkWords);
        Float4 carried = new Float4(q0, q1, q2, q3) * parts.Decays.Before[row, head];
        y[row, word] = carried + TriangleRow.Product(pRow, v, parts.U.Stride, i + 1);
    }

    private void Update(ArrayView<TWord> columns, float decay, ArrayView<Float4> k, ArrayView<Float4> v, int rows, int keyWords)
    {
        for (int c = 0; c < keyWords; c++)
        {
            Float4 s0 = TState.Load(columns[c]) * decay;
            Float4 s1 = TState.Load(columns[keyWords + c]) * decay;
            Float4 s2 = TState.Load(columns[(2 * keyWords) + c]) * decay;
            Float4 s3 = TState.Load(columns[(3 * keyWords) + c]) * decay;
            for (int i = 0; i < rows; i++)
            {
                Float4 key = k[(i * qkv.Stride) + c];
                Float4 value = v[i * parts.U.Stride];
                s0 += key * value.X;
                s1 += key * value.Y;
                s2 += key * value.Z;
                s3 += key * value.W;
            }

            columns[c] = TState.Store(s0);
            columns[keyWords + c] = TState.Store(s1);
            columns[(2 * keyWords) + c] = TState.Store(s2);
            columns[(3 * keyWords) + c] = TState.Store(s3);
        }
    }
}
