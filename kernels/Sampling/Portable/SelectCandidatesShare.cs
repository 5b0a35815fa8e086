using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A thread's blocks of a row share one list, that of the first of them: what ranks behind k tokens of lower ids is no candidate anywhere.
/// </summary>
internal readonly partial struct SelectCandidatesKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        int length = VocabularyBlocks.Length(vocabularySize);
        int listItem = part.From;
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / VocabularyBlocks.Count;
            int block = item % VocabularyBlocks.Count;
            RowScores whole = RowScores.Of(slots, rowSlot[row], logits.Row(row));
            ScoreBlock scores = ScoreBlock.Of(whole, block * length, Math.Min((block + 1) * length, vocabularySize), out bool isFinite);
            ulong best = RankedToken.None;
            if (whole.Parameters.DrawsFromTopK)
            {
                if (block == 0)
                    listItem = item;
                int held = listItem == item ? 0 : scratch.CandidateCounts[row, listItem % VocabularyBlocks.Count];
                scratch.CandidateCounts[row, block] = 0;
                scratch.CandidateCounts[row, listItem % VocabularyBlocks.Count] =
                    scores.AddTo(scratch.Candidates.Row(listItem), held, whole.Parameters.TopK);
            }
            else
            {
                best = scores.Best();
            }

            scratch.BlockBest[row, block] = isFinite ? best : RankedToken.NonFinite;
        }
    }
}
