using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// First in rank of each block of the vocabulary: its first k tokens for a row that samples with top-k, else its best token; and for every
/// row which blocks hold a logit that is NaN or infinite.
/// Items: (row, block). logits: [R, V] float; rowSlot: [R].
/// </summary>
internal readonly partial struct SelectCandidatesKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch) : IPortableKernel
{
    public int Items => logits.Rows * VocabularyBlocks.Count;

    public static void SelectCandidates(Index1D thread, int threads, SelectCandidatesKernel kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = (int)((uint)item / VocabularyBlocks.Count);
        int block = item & (VocabularyBlocks.Count - 1);
        int length = VocabularyBlocks.Length(vocabularySize);
        int from = block * length;
        int to = XMath.Min(from + length, vocabularySize);
        int slot = rowSlot[row];
        RowScores scores = RowScores.Of(slots, slot, logits.Row(row));
        ulong best = RankedToken.None;
        if (scores.Parameters.DrawsFromTopK)
            scratch.CandidateCounts[row, block] = First(scores, from, to, scratch.Candidates.Row(item));
        else if (scores.Parameters.AdjustsLogits)
            best = Best(scores, from, to);
        else
            best = ArgMaxBlocksKernel.Best(logits.Row(row), from, to);
        scratch.BlockBest[row, block] = AreFinite(logits.Row(row), from, to) ? best : RankedToken.NonFinite;
    }

    private static bool AreFinite(ArrayView<float> logits, int from, int to)
    {
        bool finite = true;
        for (int id = from; id < to; id++)
            finite &= RowScores.IsFinite(logits[id]);
        return finite;
    }

    private static ulong Best(RowScores scores, int from, int to)
    {
        float best = float.NegativeInfinity;
        int bestId = -1;
        for (int id = from; id < to; id++)
        {
            float score = scores.At(id);
            if (score > best)
            {
                best = score;
                bestId = id;
            }
        }

        return bestId < 0 ? RankedToken.None : RankedToken.Of(best, bestId);
    }

    private static int First(RowScores scores, int from, int to, ArrayView<ulong> heap)
    {
        int k = scores.Parameters.TopK;
        int count = 0;
        float worst = float.NegativeInfinity;           // of the k held: ids ascend, so an equal score ranks behind it
        for (int id = from; id < to; id++)
        {
            float score = scores.At(id);
            if (score > worst)
            {
                count = RankHeap.Offer(heap, count, k, RankedToken.Of(score, id));
                if (count == k)
                    worst = RankedToken.Score(heap[0]);
            }
        }

        return count;
    }
}
