using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One row i of the chunk's triangles for every value head of one key head: A_ij = β_i (k_i · k_j) D_ij for j &lt; i,
/// P_ij = (q_i · k_j) D_ij for j ≤ i, zeros to the right, with D_ij = exp(Σ_{j &lt; l ≤ i} g_l); and the row's two decays.
/// a, p: [T, Hv · 64] float.
/// </summary>
internal readonly struct ChunkTrianglesKernel(
    DeltaRuleWords inputs, DeltaShape shape, ChunkList chunks, Matrix<float> a, Matrix<float> p, ChunkDecays decays) : IPortableKernel
{
    private const int ChunkRows = ChunkList.ChunkRows;

    public int Items => chunks.Capacity * shape.KeyHeads * ChunkRows;

    public static void DeltaChunkTriangles(Index1D thread, int threads, ChunkTrianglesKernel kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int i = item & (ChunkRows - 1);
        int chunk = item / (ChunkRows * shape.KeyHeads);
        int keyHead = (int)((uint)item / ChunkRows) - (chunk * shape.KeyHeads);
        if (chunk >= chunks.FirstChunk[chunks.Sequences] || i >= chunks.Rows[chunk])
            return;

        int first = chunks.FirstRow[chunk];
        int firstHead = keyHead * shape.Ratio;
        ArrayView<float> aRow = a.Row(first + i);
        ArrayView<float> pRow = p.Row(first + i);

        // The products serve every value head: the first head's places keep them until its own turn, the last.
        Products(first, i, keyHead, aRow.SubView(firstHead * ChunkRows, ChunkRows), pRow.SubView(firstHead * ChunkRows, ChunkRows));
        for (int head = firstHead + shape.Ratio - 1; head >= firstHead; head--)
            Decay(chunk, first, i, head, firstHead, aRow, pRow);
    }

    private void Products(int first, int i, int keyHead, ArrayView<float> kk, ArrayView<float> qk)
    {
        int keyWords = shape.KeyHeadDim >> 2;
        int keyStart = (shape.KeyHeads + keyHead) * keyWords;
        ArrayView<Float4> q = inputs.Qkv.Row(first + i).SubView(keyHead * keyWords, keyWords);
        ArrayView<Float4> ki = inputs.Qkv.Row(first + i).SubView(keyStart, keyWords);
        for (int j = 0; j <= i; j++)
        {
            ArrayView<Float4> kj = inputs.Qkv.Row(first + j).SubView(keyStart, keyWords);
            float kkSum = 0;
            float qkSum = 0;
            for (int c = 0; c < keyWords; c++)
            {
                Float4 key = kj[c];
                kkSum += Float4.Dot(ki[c], key);
                qkSum += Float4.Dot(q[c], key);
            }

            kk[j] = kkSum;
            qk[j] = qkSum;
        }
    }

    private void Decay(int chunk, int first, int i, int head, int firstHead, ArrayView<float> aRow, ArrayView<float> pRow)
    {
        int from = firstHead * ChunkRows;
        int to = head * ChunkRows;
        float rowBeta = inputs.Beta[first + i, head];
        for (int j = i + 1; j < ChunkRows; j++)
        {
            aRow[to + j] = 0;
            pRow[to + j] = 0;
        }

        // Sums of g between two rows, never differences of sums: exact zero on the diagonal and never above it.
        float sum = 0;
        for (int j = i; j >= 0; j--)
        {
            float decay = XMath.Exp(sum);
            aRow[to + j] = j < i ? rowBeta * decay * aRow[from + j] : 0;
            pRow[to + j] = decay * pRow[from + j];
            sum += inputs.G[first + j, head];
        }

        decays.Before[first + i, head] = XMath.Exp(sum);
        sum = 0;
        for (int j = i + 1; j < chunks.Rows[chunk]; j++)
            sum += inputs.G[first + j, head];
        decays.After[first + i, head] = XMath.Exp(sum);
    }
}
