namespace QwenIlgpu;

/// <summary>One request on its way through the engine. The engine's thread owns everything but <see cref="Cancel"/> and the stream's reader side.</summary>
internal sealed class GenerationRequest(int[] promptIds, int maxTokens, IReadOnlySet<int> endIds, ResolvedSampling sampling, TokenStream stream)
{
    private readonly int[] lastToken = new int[1];
    private volatile bool cancelled;

    public int[] PromptIds { get; } = promptIds;

    public ResolvedSampling Sampling { get; } = sampling;

    public TokenStream Stream { get; } = stream;

    public bool Cancelled => cancelled;

    /// <summary>Slot in the state pools; 0 while waiting.</summary>
    public int Slot { get; set; }

    /// <summary>Cache pages it holds, in order of its 64-token blocks.</summary>
    public int[] Pages { get; set; } = [];

    /// <summary>Tokens in its cache.</summary>
    public int Position { get; private set; }

    public int GeneratedTokens { get; private set; }

    public bool Prefilling => Position < PromptIds.Length;

    /// <summary>Cache tokens it can come to need: the last drawn token is never fed.</summary>
    public int MostCachedTokens => PromptIds.Length + maxTokens - 1;

    public void Cancel() => cancelled = true;

    /// <summary>Its part of the next prefill step: at most <paramref name="budgetRows"/> rows, ending at a multiple of 64 or at the prompt's end; empty if neither fits.</summary>
    public StepSequence NextPrefill(int budgetRows)
    {
        int rest = PromptIds.Length - Position;
        int rows = rest <= budgetRows ? rest : Math.Max(0, ((Position + budgetRows) / 64 * 64) - Position);
        return new StepSequence(Slot, Position, PromptIds.AsMemory(Position, rows), rows == rest ? LogitsWanted.Last : LogitsWanted.None);
    }

    public StepSequence NextDecode() => new(Slot, Position, lastToken, LogitsWanted.Last);

    public void Advance(int tokens) => Position += tokens;

    /// <summary>Takes a drawn token; returns why the generation ends with it, or null.</summary>
    public FinishReason? Accept(int id)
    {
        lastToken[0] = id;
        GeneratedTokens++;
        if (endIds.Contains(id))
            return FinishReason.Stop;
        return GeneratedTokens == maxTokens ? FinishReason.Length : null;
    }
}
