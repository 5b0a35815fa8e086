using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The next token of each row of logits. In this order: + bias, then −∞ where the mask forbids; repetition penalty over prompt and
/// generated tokens, then − frequency · count − presence over generated ones; divided by the temperature; min-p (probability at least
/// min-p of the best's); top-k; top-p (the least beginning of the ranking that holds top-p of what top-k left). Tokens rank by score,
/// equal scores by id. The draw takes uniform Philox(seed, draw index) through the cumulative distribution in ascending ids. Temperature
/// 0 takes the first in rank after penalties and mask. Ids from the tokenizer's size on are never drawn, nor is a score of −∞; where bias or
/// penalty overflow to +∞, the first of these is. A row of which any logit below the tokenizer's size is NaN or infinite draws nothing: only
/// masks forbid, and whatever made such a logit is broken.
/// </summary>
internal static class Sampling
{
    /// <summary>Launches of <see cref="Bind"/>.</summary>
    public static int Launches(KernelLoader loader) => loader.RunsWarpKernels ? 4 : 5;

    /// <summary>
    /// logits: [R, V] float, only read; vocabularySize: the tokenizer's, ≤ V; rowSlot: [R] each row's slot (0 for padding; no other slot
    /// may occur twice in a step); ids: [R], the drawn tokens, −1 or −2.
    /// </summary>
    public static Launch[] Bind(
        KernelLoader loader,
        Matrix<float> logits,
        int vocabularySize,
        ArrayView<int> rowSlot,
        SamplingSlots slots,
        SamplingScratch scratch,
        ArrayView<int> ids,
        LogProbs logProbs)
    {
        const string Op = "sampling";
        Require.That(Op, vocabularySize >= 1 && vocabularySize <= logits.Columns,
            $"vocabulary size is {vocabularySize}, columns of logits {logits.Columns}");
        Require.Equal(Op, "vocabulary of slots", slots.VocabularySize, "vocabulary size", vocabularySize);
        Require.That(Op, scratch.Rows >= logits.Rows, $"scratch holds {scratch.Rows} rows, logits {logits.Rows}");
        Require.Equal(Op, "length of row slots", rowSlot.Length, "rows of logits", logits.Rows);
        Require.Equal(Op, "length of ids", ids.Length, "rows of logits", logits.Rows);
        Require.Equal(Op, "length of drawn log-probabilities", logProbs.Drawn.Length, "rows of logits", logits.Rows);
        Require.Equal(Op, "rows of top ids", logProbs.TopIds.Rows, "rows of logits", logits.Rows);
        Require.Equal(Op, "rows of top log-probabilities", logProbs.Top.Rows, "rows of logits", logits.Rows);
        Require.Equal(Op, "columns of top ids", logProbs.TopIds.Columns, "most log-probabilities", SlotParameters.MaxTopLogProbs);
        Require.Equal(Op, "columns of top log-probabilities", logProbs.Top.Columns,
            "most log-probabilities", SlotParameters.MaxTopLogProbs);
        return loader.RunsWarpKernels
            ? BindGroups(loader, logits, vocabularySize, rowSlot, slots, scratch, ids, logProbs)
            : BindPortable(loader, logits, vocabularySize, rowSlot, slots, scratch, ids, logProbs);
    }

    private static Launch[] BindGroups(
        KernelLoader loader, Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch,
        ArrayView<int> ids, LogProbs logProbs)
    {
        Require.That("sampling", vocabularySize <= SampleTask.MostTokens,
            $"vocabulary size is {vocabularySize}, masses of at most {SampleTask.MostTokens} tokens fit their sum");
        SectionScratch sections = scratch.Sections;
        var groups = new KernelConfig(
            new Index3D(VocabularySections.Count(vocabularySize), 2 * logits.Rows, 1), new Index3D(GroupScan.Threads, 1, 1));
        return
        [
            loader.Bind(FindBestKernel.FindBest, groups, new FindBestKernel(logits, vocabularySize, rowSlot, slots, sections)),
            loader.Bind(WeighSectionsKernel.WeighSections, groups,
                new WeighSectionsKernel(logits, vocabularySize, rowSlot, slots, sections)),
            loader.Bind(ListKernel.List, groups, new ListKernel(logits, vocabularySize, rowSlot, slots, sections)),
            loader.Bind(DrawKernel.Draw, new KernelConfig(2 * logits.Rows, GroupScan.Threads),
                new DrawKernel(logits, vocabularySize, rowSlot, slots, sections, scratch.Cutoff, ids, logProbs)),
        ];
    }

    private static Launch[] BindPortable(
        KernelLoader loader, Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch,
        ArrayView<int> ids, LogProbs logProbs) =>
        [
            loader.Bind(LogitMassKernel.LogitMass, new LogitMassKernel(logits, vocabularySize, rowSlot, slots, scratch)),
            loader.Bind(SelectCandidatesKernel.SelectCandidates,
                new SelectCandidatesKernel(logits, vocabularySize, rowSlot, slots, scratch)),
            loader.Bind(SumMassKernel.SumMass, new SumMassKernel(logits, vocabularySize, rowSlot, slots, scratch)),
            loader.Bind(SampleKernel.Sample, new SampleKernel(logits, vocabularySize, rowSlot, slots, scratch, ids)),
            loader.Bind(LogProbsKernel.LogProbs, new LogProbsKernel(logits, rowSlot, slots, scratch, ids, logProbs)),
        ];
}
