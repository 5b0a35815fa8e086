namespace QwenIlgpu;

/// <summary>
/// How far a sequence has come whose tokens are known, and what it holds. The engine's thread owns everything but <see cref="Cancel"/>.
/// </summary>
/// <param name="ids">Its tokens.</param>
/// <param name="prefillTokens">How many of them prefill steps feed.</param>
/// <param name="cachedTokens">Tokens that its cache can come to hold.</param>
internal sealed class SequenceProgress(int[] ids, int prefillTokens, long cachedTokens)
{
    private int[] pages = [];
    private volatile bool cancelled;

    public int[] Ids { get; } = ids;

    /// <summary>Slot in the state pools; 0 while it is not live.</summary>
    public int Slot { get; set; }

    /// <summary>Cache pages it holds, in order of its 64-token blocks; none while it is not live.</summary>
    public ReadOnlySpan<int> Pages => pages.AsSpan(0, PageCount);

    public int PageCount { get; private set; }

    /// <summary>Cache pages it can come to need.</summary>
    public int NeededPages { get; } = (int)EngineCapacity.PagesOf(cachedTokens);

    /// <summary>Tokens fed to prefill steps so far.</summary>
    public int FedTokens { get; private set; }

    /// <summary>Tokens at its beginning that it had from the prefix cache when it became live, the most if that was more than once.</summary>
    public int ResumedTokens { get; private set; }

    /// <summary>Which steps wrote what it goes on from.</summary>
    public PrefixOrigin Origin { get; private set; }

    /// <summary>Whether it can begin again with its first token and come to the same bits: not where it went on from what decode wrote.</summary>
    public bool IsReplayable => Origin == PrefixOrigin.Prefill;

    /// <summary>Where the state behind the last whole page of its answer is copied to as it goes on; slot 0 for nowhere.</summary>
    public StateSnapshot Rolling { get; set; }

    /// <summary>Tokens of its prompt behind which states are kept, the most useful first.</summary>
    public int[] Checkpoints { get; set; } = [];

    /// <summary>Tokens that prefill steps feed in all.</summary>
    public int PrefillTokens => prefillTokens;

    /// <summary>Tokens that are left for prefill steps.</summary>
    public int Rest => prefillTokens - FedTokens;

    public bool Prefilling => Rest > 0;

    /// <summary>It has been reported to wait for pages.</summary>
    public bool IsReportedWaiting { get; set; }

    /// <summary>It has ended; steps still in flight with it are discarded.</summary>
    public bool Retired { get; set; }

    public bool Cancelled => cancelled;

    public void Cancel() => cancelled = true;

    /// <summary>Takes the memory of all pages that can come, so that adding them takes none.</summary>
    public void Begin() => pages = new int[NeededPages];

    public void AddPage(int page) => pages[PageCount++] = page;

    /// <summary>Adds the pages of a match, its first.</summary>
    public void AddPages(in PrefixMatch match)
    {
        match.CopyPages(pages);
        PageCount = match.Pages;
    }

    public void ClearPages() => PageCount = 0;

    /// <summary>Tokens of the next prefill step: at most so many, up to a multiple of 64 or the end of prefill; 0 if neither fits.</summary>
    public int NextRows(int budgetRows) => Rest <= budgetRows ? Rest : Math.Max(0, ((FedTokens + budgetRows) / 64 * 64) - FedTokens);

    /// <summary>A prefill step with this many of its tokens has been queued.</summary>
    public void Feed(int tokens) => FedTokens += tokens;

    /// <summary>Prefill begins behind these tokens, whose pages and state it has.</summary>
    public void Resume(int tokens, PrefixOrigin origin) => (FedTokens, Origin, ResumedTokens) = (tokens, origin, Math.Max(ResumedTokens, tokens));

    /// <summary>Prefill begins again.</summary>
    public void Restart() => (FedTokens, Origin) = (0, PrefixOrigin.Prefill);
}
