using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The way of tokens: into a step, out of its logits, and the probabilities of given ones.</summary>
internal sealed partial class Ops
{
    private const long MostLogitBytes = 64 << 20;
    private const int LogitRowMultiple = 64;

    /// <summary>The most rows of logits that a step holds at once: 64 MiB of them in whole 64s, at least 64.</summary>
    public static int MostLogitRows(int vocabulary) =>
        (int)Math.Max(1, MostLogitBytes / ((long)vocabulary * sizeof(float) * LogitRowMultiple)) * LogitRowMultiple;

    /// <summary>The slots' last tokens become the inputs of a step that feeds back.</summary>
    public void FeedTokens() => Add("feed_tokens", [], [], 0, () => DecodeFeedback.BindFeed(
        loader, sampling.DecodeSlots, inputs.Device(fields.LiveSlot), inputs.Device(fields.TokenIds), inputs.Device(fields.Positions),
        inputs.Device(fields.RowSlot), inputs.Device(fields.PoolRow), state.Capacity.StateSlots - 1));

    /// <summary>Draws a token for each row of logits [R, Vocab] as its slot asks, which then feeds it next.</summary>
    public void Sample(Tensor logits)
    {
        ArrayView<int> rowSlot = inputs.Device(fields.LogitSlot);
        ForbidIdsWithoutToken(logits);
        graph.Add("sample", [logits], [], 0, launches: Sampling.Launches(loader), bind: () => Sampling.Bind(
            loader, logits.View, sampling.VocabularySize, rowSlot, sampling.Slots, sampling.Scratch, sampling.Ids(logits.Rows), sampling.LogProbs(logits.Rows)));
        Add("advance_slots", [], [], 0, () => DecodeFeedback.BindAdvance(
            loader, sampling.DecodeSlots, rowSlot, sampling.Ids(logits.Rows), sampling.EndIds));
    }

    /// <summary>Log-probabilities of the scored rows' targets, from block after block of logits that share their memory.</summary>
    public void Score(Tensor x, LinearWeight head)
    {
        int blockRows = options.ScoreBlockRows == 0 ? MostLogitRows(head.Rows) : options.ScoreBlockRows;
        for (int first = 0; first < Shape.ScoredRows; first += blockRows)
            ScoreBlock(x, head, first, Math.Min(blockRows, Shape.ScoredRows - first));
    }

    private void ScoreBlock(Tensor x, LinearWeight head, int first, int rows)
    {
        Tensor logits = Linear(Gather("scored", x, fields.ScoredRow.Part(first, rows)), head);  // [S′, Vocab]
        ForbidIdsWithoutToken(logits);
        Add("target_log_probs", [logits], [], rows * (sizeof(int) + sizeof(float)), () => TargetLogProbs.Bind(
            loader, logits.View, sampling.VocabularySize, inputs.Device(fields.ScoredTarget.Part(first, rows)), sampling.Scores.SubView(first, rows)));
    }

    private void ForbidIdsWithoutToken(Tensor logits)
    {
        if (sampling.IdsWithoutToken.Length > 0)
        {
            Add("forbid_ids", [logits], [], sampling.IdsWithoutToken.Length * sizeof(int), () =>
                ForbidIds.Bind(loader, logits.View, sampling.IdsWithoutToken));
        }
    }
}
