using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The longest prefill step whose activations fit a budget.</summary>
/// <param name="ChunkTokens">Its tokens, a multiple of 64.</param>
/// <param name="ArenaBytes">What its activations take at most, however many sequences share it.</param>
internal sealed record PrefillBudget(int ChunkTokens, long ArenaBytes)
{
    // Enough tokens to give every multiprocessor of a large GPU several tiles of the narrowest matrices; more make those who wait for
    // their next token wait longer.
    private const int MostTokensOnGpu = 2048;
    private const int MostTokensElsewhere = 512;
    private const int LeastTokens = ChunkList.ChunkRows;

    /// <summary>What is tried first where nobody asks for a length.</summary>
    public static int MostTokens(ComputeDevice device) => device.Loader.RunsWarpKernels ? MostTokensOnGpu : MostTokensElsewhere;

    /// <summary>
    /// The length asked for, or the first of <paramref name="mostTokens"/> and its halves that fits. Where none does and nobody has named
    /// the budget it is the shortest, or the one asked for: whether there is memory for it is the whole plan's to say.
    /// </summary>
    /// <param name="capacity">With PrefillChunkTokens 0 where no length is asked for.</param>
    /// <param name="mostTokens">The longest.</param>
    /// <param name="budgetBytes">Memory that activations may take.</param>
    /// <param name="arenaBytesOf">Memory that those of a step take.</param>
    /// <exception cref="InsufficientMemoryException">None fits a budget that was named; the message has both numbers of bytes and what to do.</exception>
    public static PrefillBudget Fit(EngineCapacity capacity, int mostTokens, long budgetBytes, Func<StepShape, long> arenaBytesOf)
    {
        int tokens = mostTokens;
        while (true)
        {
            long bytes = arenaBytesOf(LargestShape(tokens, capacity.MaxSequences));
            if (bytes <= budgetBytes)
                return new PrefillBudget(tokens, bytes);
            if (capacity.PrefillChunkTokens != 0 || tokens == LeastTokens)
            {
                return capacity.ActivationBytes == 0
                    ? new PrefillBudget(tokens, bytes)
                    : throw new InsufficientMemoryException(Refusal(capacity, tokens, bytes, budgetBytes));
            }

            tokens = Math.Max(LeastTokens, tokens / 2 / LeastTokens * LeastTokens);
        }
    }

    // As many sequences as there can be, each with a row of logits and a chunk begun and one ended, and every row scored.
    private static StepShape LargestShape(int tokens, int mostSequences)
    {
        int sequences = Math.Min(tokens, mostSequences);
        return new StepShape(StepKind.Prefill, tokens, sequences, sequences, ChunkList.MaxChunks(tokens, sequences), Samples: true, tokens);
    }

    private static string Refusal(EngineCapacity capacity, int tokens, long bytes, long budgetBytes)
    {
        string limit = $"{nameof(EngineOptions.ActivationBytes)} is {budgetBytes}: raise it";
        string chunk = capacity.PrefillChunkTokens != 0 ? $", or lower {nameof(EngineOptions.PrefillChunkTokens)}" : "";
        return $"the activations of a prefill step of {tokens} tokens take {bytes} bytes; {limit}{chunk}";
    }
}
