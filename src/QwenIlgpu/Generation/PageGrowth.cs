namespace QwenIlgpu;

/// <summary>
/// Gives requests pages as they need them: before a decode step is queued, one to each whose next token begins another 64.
/// </summary>
internal sealed class PageGrowth(LiveRequests live)
{
    /// <summary>
    /// Every request that decodes has the page that its next token goes to; false where pages ran out, the oldest first having theirs: to be
    /// tried again when there are more. Allocates nothing.
    /// </summary>
    public bool TryGrow()
    {
        foreach (IRequest request in live)
        {
            if (!request.Decoding)
                continue;
            int needed = LiveRequests.PagesFor(request);
            while (request.Sequence.PageCount < needed)
            {
                if (!live.TryGrow(request))
                    return false;
            }
        }

        return true;
    }
}
