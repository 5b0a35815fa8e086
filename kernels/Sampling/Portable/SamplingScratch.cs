using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>What the sampling kernels hand to one another within a step, per row of logits.</summary>
internal readonly struct SamplingScratch
{
    /// <summary>Buckets of one pass of the nucleus search.</summary>
    public const int Buckets = 2048;

    /// <summary>[R, Blocks] first in rank of each block, see <see cref="RankedToken"/>; of a top-k row none, or that it is non-finite.</summary>
    public readonly Matrix<ulong> BlockBest;

    /// <summary>[R, Blocks] probability mass of each block relative to the row's best token.</summary>
    public readonly Matrix<double> BlockMass;

    /// <summary>[R, Blocks] how many candidates of a block are held.</summary>
    public readonly Matrix<int> CandidateCounts;

    /// <summary>[R · Blocks, MaxTopK] the block's first tokens in rank.</summary>
    public readonly Matrix<ulong> Candidates;

    /// <summary>[R, Buckets]</summary>
    public readonly Matrix<double> Histogram;

    /// <summary>[R] the last token kept: a token could be drawn if and only if it ranks there or before.</summary>
    public readonly ArrayView<ulong> Cutoff;

    /// <summary>[R, Blocks] greatest logit of each block.</summary>
    public readonly Matrix<float> LogitMax;

    /// <summary>[R, Blocks] Σ exp(logit − max) of each block.</summary>
    public readonly Matrix<double> LogitMass;

    /// <summary>[R · Blocks, MaxTopLogProbs] the block's most probable tokens.</summary>
    public readonly Matrix<ulong> LogitBest;

    /// <summary>[R, Blocks]</summary>
    public readonly Matrix<int> LogitBestCounts;

    /// <summary>Of the group kernels, which use this and <see cref="Cutoff"/>.</summary>
    public readonly SectionScratch Sections;

    private SamplingScratch(Sections sections, int rows)
    {
        BlockBest = sections.Next<ulong>(rows, VocabularyBlocks.Count);
        BlockMass = sections.Next<double>(rows, VocabularyBlocks.Count);
        CandidateCounts = sections.Next<int>(rows, VocabularyBlocks.Count);
        Candidates = sections.Next<ulong>(rows * VocabularyBlocks.Count, SlotParameters.MaxTopK);
        Histogram = sections.Next<double>(rows, Buckets);
        Cutoff = sections.Next<ulong>(rows);
        LogitMax = sections.Next<float>(rows, VocabularyBlocks.Count);
        LogitMass = sections.Next<double>(rows, VocabularyBlocks.Count);
        LogitBest = sections.Next<ulong>(rows * VocabularyBlocks.Count, SlotParameters.MaxTopLogProbs);
        LogitBestCounts = sections.Next<int>(rows, VocabularyBlocks.Count);
        Sections = new SectionScratch(sections, rows);
    }

    public int Rows => BlockBest.Rows;

    public static long SizeInBytes(int rows)
    {
        var sections = new Sections(default);
        _ = new SamplingScratch(sections, rows);
        return sections.Bytes;
    }

    /// <summary>Views into <paramref name="memory"/>, whose contents do not matter.</summary>
    public static SamplingScratch In(ArrayView<byte> memory, int rows)
    {
        long needed = SizeInBytes(rows);
        Require.That("sampling_scratch", memory.Length >= needed, $"{memory.Length} bytes given, {rows} rows need {needed}");
        return new SamplingScratch(new Sections(memory), rows);
    }
}
