using System.Collections.Frozen;

namespace QwenIlgpu;

/// <summary>One request on its way through the engine. The engine's thread owns everything but <see cref="Cancel"/> and the stream's reader side.</summary>
internal sealed class GenerationRequest(int[] promptIds, int maxTokens, IReadOnlySet<int> endIds, ResolvedSampling sampling, TokenStream stream)
{
    private static readonly ResolvedSampling Unsampled = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, int.MaxValue, static _ => true, () => 0);

    private volatile bool cancelled;

    /// <summary>A request whose stream gets the log-probability of each id but the first, and that draws nothing.</summary>
    public static GenerationRequest OfScores(int[] ids, TokenStream stream) => new(ids, 0, FrozenSet<int>.Empty, Unsampled, stream) { Scores = true };

    public int[] PromptIds { get; } = promptIds;

    public int MaxTokens { get; } = maxTokens;

    /// <summary>Ids that end the generation; empty when it goes on past them.</summary>
    public IReadOnlySet<int> EndIds { get; } = endIds;

    public ResolvedSampling Sampling { get; } = sampling;

    public TokenStream Stream { get; } = stream;

    public bool Cancelled => cancelled;

    /// <summary>The prompt's tokens are scored, all but the first, and none is drawn.</summary>
    public bool Scores { get; private init; }

    /// <summary>Tokens whose scores the host has seen.</summary>
    public int ScoredTokens { get; private set; }

    /// <summary>Slot in the state pools; 0 while waiting.</summary>
    public int Slot { get; set; }

    /// <summary>Cache pages it holds, in order of its 64-token blocks.</summary>
    public int[] Pages { get; set; } = [];

    /// <summary>Prompt tokens fed to steps so far.</summary>
    public int FedPromptTokens { get; private set; }

    /// <summary>Tokens drawn by steps that have been queued, the host having seen them or not.</summary>
    public int QueuedTokens { get; private set; }

    /// <summary>Tokens that the host has seen.</summary>
    public int GeneratedTokens { get; private set; }

    /// <summary>Its slot and pages have been given back; steps still in flight with it are discarded.</summary>
    public bool Retired { get; set; }

    public bool Prefilling => FedPromptTokens < MostFedTokens;

    /// <summary>Whether another decode step can draw a token for it, as far as the host knows.</summary>
    public bool Decoding => !Prefilling && QueuedTokens < MaxTokens;

    // The last token of a text that is scored predicts none of it.
    private int MostFedTokens => Scores ? PromptIds.Length - 1 : PromptIds.Length;

    /// <summary>Cache pages it can come to need: the last drawn token is never fed.</summary>
    public int NeededPages => (int)(((long)PromptIds.Length + MaxTokens - 1 + Kernels.KvCache.PageTokens - 1) / Kernels.KvCache.PageTokens);

    /// <summary>It has been reported to wait for pages.</summary>
    public bool IsReportedWaiting { get; set; }

    public void Cancel() => cancelled = true;

    /// <summary>Its part of the next prefill step: at most <paramref name="budgetRows"/> rows, ending at a multiple of 64 or at the prompt's end; empty if neither fits.</summary>
    public StepSequence NextPrefill(int budgetRows)
    {
        int position = FedPromptTokens;
        int rest = MostFedTokens - position;
        int rows = rest <= budgetRows ? rest : Math.Max(0, ((position + budgetRows) / 64 * 64) - position);
        Memory<int> tokens = PromptIds.AsMemory(position, rows);
        return Scores
            ? new StepSequence(Slot, position, tokens, LogitsWanted.None, PromptIds.AsMemory(position + 1, rows))
            : new StepSequence(Slot, position, tokens, rows == rest ? LogitsWanted.Last : LogitsWanted.None);
    }

    /// <summary>A prefill step with this many of its tokens has been queued.</summary>
    public void QueuedPrefill(int tokens)
    {
        FedPromptTokens += tokens;
        if (!Prefilling && !Scores)
            QueuedTokens++;
    }

    /// <summary>A decode step with it has been queued.</summary>
    public void QueuedDecode() => QueuedTokens++;

    /// <summary>Takes scores of so many tokens; returns whether they were the last.</summary>
    public bool AcceptScores(int tokens)
    {
        ScoredTokens += tokens;
        return ScoredTokens == MostFedTokens;
    }

    /// <summary>Takes a drawn token; returns why the generation ends with it, or null. The device decides alike.</summary>
    public FinishReason? Accept(int id)
    {
        GeneratedTokens++;
        if (EndIds.Contains(id))
            return FinishReason.Stop;
        return GeneratedTokens == MaxTokens ? FinishReason.Length : null;
    }
}
