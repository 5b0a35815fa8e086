namespace QwenIlgpu;

/// <summary>A request on its way through the engine, whose thread calls all of it but <see cref="Sit"/>, which comes before.</summary>
internal interface IRequest
{
    SequenceProgress Sequence { get; }

    /// <summary>Whether another decode step can draw a token for it, as far as the host knows.</summary>
    bool Decoding { get; }

    /// <summary>Gives it the seat that it has until it ends.</summary>
    void Sit(EngineSeats seats);

    /// <summary>Takes the memory of all results that can come.</summary>
    void Begin(long timestamp);

    /// <summary>What its slot is told of sampling; null where it draws nothing.</summary>
    SlotContents? ContentsFor(Sampler sampler);

    /// <summary>Its part of the next prefill step, of at most so many rows; empty where that is too few.</summary>
    StepSequence NextPrefill(int budgetRows);

    /// <summary>Such a part is in the step that is queued next.</summary>
    void QueuedPrefill(in StepSequence part, QueuedStep step);

    /// <summary>Takes its rows of a step's results; returns whether they were the last.</summary>
    bool Take(StepResults results, int firstRow, int rows, long timestamp);

    /// <summary>Ends it: its reader has all there is.</summary>
    void Complete();

    /// <summary>Ends it with an error, unless it has ended. Any thread.</summary>
    void Fail(Exception error);
}

/// <summary>
/// How far a sequence has come whose tokens are known, and what it holds. The engine's thread owns everything but <see cref="Cancel"/>.
/// </summary>
/// <param name="ids">Its tokens.</param>
/// <param name="prefillTokens">How many of them prefill steps feed.</param>
/// <param name="cachedTokens">Tokens that its cache can come to hold.</param>
internal sealed class SequenceProgress(int[] ids, int prefillTokens, long cachedTokens)
{
    private volatile bool cancelled;

    public int[] Ids { get; } = ids;

    /// <summary>Slot in the state pools; 0 while waiting.</summary>
    public int Slot { get; set; }

    /// <summary>Cache pages it holds, in order of its 64-token blocks.</summary>
    public int[] Pages { get; set; } = [];

    /// <summary>Cache pages it can come to need.</summary>
    public int NeededPages { get; } = (int)EngineCapacity.PagesOf(cachedTokens);

    /// <summary>Tokens fed to prefill steps so far.</summary>
    public int FedTokens { get; private set; }

    /// <summary>Tokens at its beginning that it has from the prefix cache; they count as fed.</summary>
    public int CachedTokens { get; private set; }

    /// <summary>Which steps wrote what it has from the prefix cache.</summary>
    public PrefixOrigin Origin { get; private set; }

    /// <summary>Whether prefill of its prompt from the first token on leads to the state that it has: not behind what decode wrote.</summary>
    public bool IsReplayable => Origin == PrefixOrigin.Prefill;

    /// <summary>Tokens of its prompt behind which states are kept, the most useful first.</summary>
    public int[] Checkpoints { get; set; } = [];

    /// <summary>Tokens that are left for prefill steps.</summary>
    public int Rest => prefillTokens - FedTokens;

    public bool Prefilling => Rest > 0;

    /// <summary>It has been reported to wait for pages.</summary>
    public bool IsReportedWaiting { get; set; }

    /// <summary>Its slot and pages have been given back; steps still in flight with it are discarded.</summary>
    public bool Retired { get; set; }

    public bool Cancelled => cancelled;

    public void Cancel() => cancelled = true;

    /// <summary>Tokens of the next prefill step: at most so many, up to a multiple of 64 or the end of prefill; 0 if neither fits.</summary>
    public int NextRows(int budgetRows) => Rest <= budgetRows ? Rest : Math.Max(0, ((FedTokens + budgetRows) / 64 * 64) - FedTokens);

    /// <summary>A prefill step with this many of its tokens has been queued.</summary>
    public void Feed(int tokens) => FedTokens += tokens;

    /// <summary>It begins behind these tokens, whose pages and state it has.</summary>
    public void Resume(int tokens, PrefixOrigin origin) => (FedTokens, CachedTokens, Origin) = (tokens, tokens, origin);
}
