using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// U = (I + A)⁻¹ diag(β) V and W = (I + A)⁻¹ diag(β e^γ) K by forward substitution: an item solves four columns of one chunk and
/// value head. a: [T, Hv · 64] float in words of four.
/// </summary>
internal readonly struct ChunkSolveKernel(
    DeltaRuleWords inputs, DeltaShape shape, ChunkList chunks, Matrix<Float4> a, ChunkParts parts) : IPortableKernel
{
    private int WordsPerHead => (shape.ValueHeadDim + shape.KeyHeadDim) >> 2;

    public int Items => chunks.Capacity * shape.ValueHeads * WordsPerHead;

    public static void DeltaChunkSolve(Index1D thread, int threads, ChunkSolveKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int word = item % WordsPerHead;
        int chunk = item / (WordsPerHead * shape.ValueHeads);
        int head = (item / WordsPerHead) - (chunk * shape.ValueHeads);
        if (chunk >= chunks.FirstChunk[chunks.Sequences])
            return;

        int valueWords = shape.ValueHeadDim >> 2;
        int keyWords = shape.KeyHeadDim >> 2;
        if (word < valueWords)
        {
            Solve(chunk, head, (2 * shape.KeyHeads * keyWords) + (head * valueWords) + word, parts.U, (head * valueWords) + word, false);
        }
        else
        {
            int keyWord = word - valueWords;
            Solve(chunk, head, ((shape.KeyHeads + (head / shape.Ratio)) * keyWords) + keyWord, parts.W, (head * keyWords) + keyWord, true);
        }
    }

    private void Solve(int chunk, int head, int sourceWord, Matrix<Float4> x, int word, bool decayed)
    {
        int first = chunks.FirstRow[chunk];
        int rows = chunks.Rows[chunk];
        ArrayView<Float4> solved = x.Data.SubView(((long)first * x.Stride) + word, ((long)(rows - 1) * x.Stride) + 1);
        for (int i = 0; i < rows; i++)
        {
            float scale = inputs.Beta[first + i, head];
            if (decayed)
                scale *= parts.Decays.Before[first + i, head];
            Float4 sum = inputs.Qkv[first + i, sourceWord] * scale;
            ArrayView<Float4> aRow = a.Row(first + i).SubView(head * (ChunkList.ChunkRows / 4), ChunkList.ChunkRows / 4);
            solved[i * x.Stride] = sum - TriangleRow.Product(aRow, solved, x.Stride, i);
        }
    }
}
