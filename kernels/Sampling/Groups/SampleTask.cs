using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the groups of one grid row work on: the sampling of a row of logits, or its log-probabilities, which are a top-k of the model's
/// own logits.
/// </summary>
internal readonly struct SampleTask
{
    /// <summary>A mass of 1, that of the row's best token. Sums of integers do not depend on their order.</summary>
    public const long Unit = 1L << 42;

    /// <summary>Whose masses, were they all 1, still sum to less than 2^63: the vocabulary of as many sections as there may be.</summary>
    public const int MostTokens = VocabularySections.Most * VocabularySections.Length;

    public readonly int Row;
    public readonly int Slot;
    public readonly RowScores Scores;

    /// <summary>The task is a row's log-probabilities.</summary>
    public readonly bool Reports;

    /// <summary>There is something to do.</summary>
    public readonly bool IsWanted;

    public SampleTask(Matrix<float> logits, ArrayView<int> rowSlot, SamplingSlots slots, int task)
    {
        Reports = task >= logits.Rows;
        Row = Reports ? task - logits.Rows : task;
        Slot = rowSlot[Row];
        SlotParameters parameters = slots.Parameters[Slot];
        IsWanted = !Reports || parameters.Has(SlotParameters.HasLogProbs);
        if (Reports)
            parameters = new SlotParameters { Temperature = 1, TopK = parameters.TopLogProbs, TopP = 1 };
        Scores = new RowScores(parameters, logits.Row(Row), slots.Bias.Row(Slot), slots.Allowed.Row(Slot), slots.Seen.Row(Slot));
    }

    /// <summary>A section's mass is wanted of all that min-p keeps.</summary>
    public bool NeedsSectionMass => Reports || Scores.Parameters.DrawsFromAll;

    /// <summary>The ranking is cut, by count or by mass.</summary>
    public bool CutsRanking => Scores.Parameters.Temperature > 0 && !Scores.Parameters.DrawsFromAll;

    /// <summary>The first in rank alone does not decide: it is a token, and a distance to it is a number.</summary>
    public bool Weighs(ulong first) =>
        IsWanted && first != RankedToken.None && first != RankedToken.NonFinite && Scores.Parameters.Temperature > 0
        && (Reports || RankedToken.Score(first) < float.PositiveInfinity);

    public long Mass(float score, float best) => (long)(Scores.Mass(score, best) * Unit);
}
