using System.Diagnostics;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Who becomes live, in order of arrival: first those that gave up their pages, then those that wait. Nothing is reserved for what a
/// request may come to draw.
/// </summary>
internal sealed class Admission(StepRunner runner, LiveRequests live, PrefixCache prefixes, Preemption preemption)
{
    private readonly List<IRequest> waiting = [];

    /// <summary>Requests that have never been live, in order of arrival.</summary>
    public IReadOnlyList<IRequest> Waiting => waiting;

    public void Enqueue(IRequest request) => waiting.Add(request);

    public void DropCancelled() => waiting.RemoveAll(static request => request.Sequence.Cancelled);

    /// <summary>Whoever there is room for becomes live; allocates only then.</summary>
    public void Admit()
    {
        while (preemption.Spilled.Count > 0)
        {
            if (preemption.TryReturnOldest() is not { } returned)
                return;
            TryPrepareSlot(returned);
        }

        while (waiting.Count > 0)
        {
            if (live.Slots.Available == 0)
                return;
            IRequest next = waiting[0];
            PrefixMatch match = prefixes.Hold(next);
            if (!live.HasRoomFor(next, match))
            {
                prefixes.LetGo(match);
                Report(next, match);
                return;
            }

            waiting.RemoveAt(0);
            Begin(next, match);
        }
    }

    /// <summary>
    /// A request's slot is told how tokens are drawn in it, those that the request has drawn before included. False where that fails, which
    /// ends the request.
    /// </summary>
    public bool TryPrepareSlot(IRequest request)
    {
        SlotContents? contents;
        try
        {
            contents = request.ContentsFor(runner.Sampler);
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            live.Fail(request, e);
            return false;
        }

        if (contents is not null)
            runner.Sampler.Admit(contents);
        return true;
    }

    private void Begin(IRequest request, in PrefixMatch match)
    {
        try
        {
            request.Sequence.Begin();
            request.Begin(Stopwatch.GetTimestamp());
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            prefixes.LetGo(match);
            request.Sequence.Retired = true;
            request.Fail(e);
            return;
        }

        live.Add(request, match);
        prefixes.Resume(request, match);
        TryPrepareSlot(request);
    }

    private void Report(IRequest next, in PrefixMatch match)
    {
        int pages = LiveRequests.PagesFor(next) - match.Pages;
        int left = live.PagesToLeave(next);
        if (next.Sequence.IsReportedWaiting)
            return;
        next.Sequence.IsReportedWaiting = true;
        Log.WaitsForPages(runner.Logger, pages, KvCache.PageTokens, live.Pages.Available, live.Pages.Count, left, live.Count);
    }
}
