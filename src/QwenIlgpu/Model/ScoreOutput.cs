using ILGPU;

namespace QwenIlgpu;

/// <summary>Where a step's scores go and how many rows of logits are there at a time.</summary>
/// <param name="LogProbs">At least as many as a step has scored rows: log-probabilities, in their order.</param>
/// <param name="VocabularySize">The tokenizer's; columns from there on pad the head.</param>
/// <param name="IdsWithoutToken">Ids below it that no token has: their probability is 0.</param>
/// <param name="BlockRows">Rows of a block.</param>
internal readonly record struct ScoreOutput(ArrayView<float> LogProbs, int VocabularySize, ArrayView<int> IdsWithoutToken, int BlockRows)
{
    private const long MostLogitBytes = 64 << 20;
    private const int Multiple = 64;

    /// <summary>The most rows of logits that a step holds at once: 64 MiB of them in whole 64s, at least 64.</summary>
    public static int MostRows(int vocabulary) =>
        (int)Math.Max(1, MostLogitBytes / ((long)vocabulary * sizeof(float) * Multiple)) * Multiple;
}
