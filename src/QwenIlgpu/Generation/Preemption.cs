using Microsoft.Extensions.Logging;

namespace QwenIlgpu;

/// <summary>
/// What happens when pages run out: the youngest live request gives up its own, and its slot. Its states and pages move to the host and
/// come back when there is room; where the host's budget is spent they are computed again, the prompt by prefill steps and the answer by
/// decode steps that are fed the tokens drawn before, which gives the same bits; whoever went on from an earlier answer, where it would
/// not, goes to the host beyond the budget. How it is sampled is known to the host, which tells its next slot. The older ones go on, so
/// that the oldest always ends.
/// </summary>
internal sealed class Preemption(LiveRequests live, PrefixCache prefixes, SpillSpace space, ILogger logger)
{
    // Youngest first: whoever gives up is older than all who have.
    private readonly List<SpilledRequest> spilled = [];

    /// <summary>Requests that have given up their pages, youngest first.</summary>
    public IReadOnlyList<SpilledRequest> Spilled => spilled;

    /// <summary>Frees what cancelled requests hold of the host.</summary>
    public void DropCancelled()
    {
        for (int i = spilled.Count - 1; i >= 0; i--)
        {
            (IRequest request, SpilledSequence? contents) = spilled[i];
            if (!request.Sequence.Cancelled)
                continue;
            spilled.RemoveAt(i);
            request.Sequence.Retired = true;
            if (contents is not null)
                space.Free(contents);
        }
    }

    /// <summary>The youngest live request gives up its slot and pages. No step may be in flight: what is known of it is all there is.</summary>
    public void GiveUpYoungest()
    {
        IRequest request = live.Youngest;
        SequenceProgress sequence = request.Sequence;
        int tokens = request.CachedTokens;
        ReadOnlySpan<int> pages = sequence.Pages[..(int)EngineCapacity.PagesOf(tokens)];
        long bytes = tokens > 0 ? space.BytesOf(pages.Length) : 0;
        long budgetBytes = space.BudgetBytes;
        SpilledSequence? contents = tokens > 0 ? space.Download(sequence.Slot, pages, mayExceed: !sequence.IsReplayable) : null;
        if (space.BudgetBytes < budgetBytes)
            Log.SpillSpaceRefused(logger, space.BudgetBytes, budgetBytes, space.Refusal);
        if (contents is not null || tokens == 0)
        {
            Log.GivesUpPages(logger, tokens, sequence.PageCount, live.Count - 1, bytes);
        }
        else
        {
            request.Restart();
            Log.BeginsAgain(logger, tokens, sequence.PageCount, live.Count - 1, bytes, space.UsedBytes, space.BudgetBytes);
        }

        spilled.Add(new SpilledRequest(request, contents));
        live.Remove(request);
    }

    /// <summary>The oldest of those who gave up is live again, if there is room; else null.</summary>
    public IRequest? TryReturnOldest()
    {
        (IRequest request, SpilledSequence? contents) = spilled[^1];
        PrefixMatch match = contents is null ? prefixes.Hold(request) : default;
        if (!live.HasRoomFor(request, match))
        {
            prefixes.LetGo(match);
            return null;
        }

        spilled.RemoveAt(spilled.Count - 1);
        live.Add(request, match);
        if (contents is null)
            prefixes.Resume(request, match);
        else
            space.Upload(contents, request.Sequence.Slot, request.Sequence.Pages);
        Log.Returns(logger, request.CachedTokens, request.Sequence.PageCount);
        return request;
    }
}

/// <summary>A request without slot and pages that had some.</summary>
/// <param name="Request">The request.</param>
/// <param name="Contents">What it had in them, on the host; null where it begins again.</param>
internal readonly record struct SpilledRequest(IRequest Request, SpilledSequence? Contents);
