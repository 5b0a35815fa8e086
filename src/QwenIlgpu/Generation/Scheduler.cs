using System.Diagnostics;

namespace QwenIlgpu;

/// <summary>
/// Decides what the next step holds. Requests are admitted in order of arrival when a slot and all pages they can come to need are
/// free; steps alternate between prefill and decode while there is work for both. A step may be queued before the tokens of the one
/// before have reached the host: the device itself feeds them on and leaves out sequences that ended, and what a step drew for a
/// request that has meanwhile ended is discarded. What fails on the host for one request's sake ends that request; what fails on the device
/// is thrown.
/// </summary>
internal sealed class Scheduler
{
    private readonly StepRunner runner;
    private readonly NumberPool slots;
    private readonly NumberPool pages;
    private readonly List<GenerationRequest> waiting = [];
    private readonly List<GenerationRequest> live = [];
    private readonly StepSequence[] prefillSequences;
    private readonly int[] decodeSlots;
    private readonly QueuedStep[] ring;
    private long queuedSteps;
    private long collectedSteps;
    private bool lastWasPrefill;

    public Scheduler(StepRunner runner)
    {
        this.runner = runner;
        slots = new NumberPool(runner.Capacity.State.Slots);
        pages = new NumberPool(runner.Capacity.State.Pages);
        prefillSequences = new StepSequence[runner.Capacity.MaxSequences];
        decodeSlots = new int[runner.Capacity.MaxSequences];
        ring = [.. Enumerable.Range(0, runner.StepsInFlight).Select(_ => new QueuedStep(runner.Capacity.MaxSequences))];
    }

    /// <summary>Requests that are live or waiting.</summary>
    public int Count => live.Count + waiting.Count;

    public IEnumerable<GenerationRequest> All => live.Concat(waiting);

    public void Enqueue(GenerationRequest request) => waiting.Add(request);

    /// <summary>Frees what cancelled requests hold and admits waiting ones; allocates only when it admits.</summary>
    public void Update()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].Cancelled)
                Retire(live[i]);
        }

        waiting.RemoveAll(static request => request.Cancelled);
        while (waiting.Count > 0 && slots.Available > 0)
        {
            GenerationRequest next = waiting[0];
            if (pages.Available < next.NeededPages)
            {
                if (!next.IsReportedWaiting)
                    Log.WaitsForPages(runner.Logger, next.NeededPages, Kernels.KvCache.PageTokens, pages.Available, pages.Count, live.Count);
                next.IsReportedWaiting = true;
                return;
            }

            waiting.RemoveAt(0);
            Admit(next);
        }
    }

    /// <summary>Queues a step if there is work, and hands out the tokens of the oldest one when its turn has come; false when idle.</summary>
    public bool Step()
    {
        bool queued = Queue();
        long inFlight = queuedSteps - collectedSteps;
        if (inFlight == ring.Length || (inFlight > 0 && !queued))
            Collect();
        return queued || inFlight > 0;
    }

    private bool Queue()
    {
        bool prefilling = false;
        bool decoding = false;
        foreach (GenerationRequest request in live)
        {
            prefilling |= request.Prefilling;
            decoding |= request.Decoding;
        }

        if (!prefilling && !decoding)
            return false;
        lastWasPrefill = prefilling && !(decoding && lastWasPrefill);
        int place = (int)(queuedSteps % ring.Length);
        QueuedStep step = ring[place];
        step.Clear();
        if (lastWasPrefill && !QueuePrefill(step))
            return true;
        if (!lastWasPrefill)
            QueueDecode(step);
        if (step.Count + step.ScoredRows > 0)
            runner.Sampler.ReadBack(place, step.Count, step.ScoredRows);
        queuedSteps++;
        return true;
    }

    private void Admit(GenerationRequest request)
    {
        // Live before the device is asked for anything: if it fails, the request ends with all others.
        live.Add(request);
        request.Slot = slots.Take();
        SlotContents? contents;
        try
        {
            request.Pages = new int[request.NeededPages];
            for (int block = 0; block < request.Pages.Length; block++)
                request.Pages[block] = pages.Take();
            request.Stream.Begin(Stopwatch.GetTimestamp());
            contents = request.Scores ? null : runner.Sampler.ContentsOf(request);
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            EndAlone(request, e);
            return;
        }

        runner.State.SetPages(request.Slot, request.Pages);
        if (contents is not null)
            runner.Sampler.Admit(contents);
    }

    private void EndAlone(GenerationRequest request, Exception error)
    {
        Retire(request);
        request.Stream.Fail(error);
    }

    private void Retire(GenerationRequest request)
    {
        if (request.Retired)
            return;
        live.Remove(request);
        request.Retired = true;
        slots.Return(request.Slot);
        foreach (int page in request.Pages)
            pages.Return(page);
    }

    // False when no request had a part that can be run.
    private bool QueuePrefill(QueuedStep step)
    {
        int count = 0;
        int budgetRows = runner.Capacity.PrefillChunkTokens;
        for (int i = 0; i < live.Count; i++)
        {
            GenerationRequest request = live[i];
            if (!request.Prefilling)
                continue;
            StepSequence sequence;
            try
            {
                sequence = request.NextPrefill(budgetRows);
                runner.Check(sequence);
            }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
            catch (Exception e)
#pragma warning restore CA1031
            {
                EndAlone(request, e);
                i--;
                continue;
            }

            if (sequence.Tokens.Length == 0)
                break;
            budgetRows -= sequence.Tokens.Length;
            prefillSequences[count++] = sequence;
            request.QueuedPrefill(sequence.Tokens.Length);
            if (request.Scores)
                step.AddScored(request, sequence.Targets.Length);
            else if (sequence.Logits != LogitsWanted.None)
                step.Add(request);
        }

        if (count > 0)
            runner.Run(StepKind.Prefill, prefillSequences.AsSpan(0, count));
        return count > 0;
    }

    private void QueueDecode(QueuedStep step)
    {
        foreach (GenerationRequest request in live)
        {
            if (!request.Decoding)
                continue;
            decodeSlots[step.Count] = request.Slot;
            request.QueuedDecode();
            step.Add(request);
        }

        runner.RunDecode(decodeSlots.AsSpan(0, step.Count));
    }

    private void Collect()
    {
        int place = (int)(collectedSteps++ % ring.Length);
        QueuedStep step = ring[place];
        if (step.Count + step.ScoredRows == 0)
            return;
        DrawnTokens drawn = runner.Sampler.Drawn(place);
        long timestamp = Stopwatch.GetTimestamp();
        for (int row = 0; row < step.Count; row++)
            Deliver(step[row], row, default, drawn, timestamp);
        foreach (ScoredPart part in step.Scored)
            Deliver(part.Request, 0, part, drawn, timestamp);
    }

    private void Deliver(GenerationRequest request, int row, ScoredPart part, DrawnTokens drawn, long timestamp)
    {
        if (request.Retired)
            return;
        try
        {
            FinishReason? end = request.Scores ? TakeScores(part, drawn) : TakeToken(request, row, drawn, timestamp);
            if (end is not { } reason)
                return;
            Retire(request);
            request.Stream.Complete(reason);
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            EndAlone(request, e);
        }
    }

    private static FinishReason? TakeScores(ScoredPart part, DrawnTokens drawn)
    {
        ReadOnlySpan<float> scores = drawn.Scores.Span.Slice(part.FirstRow, part.Rows);
        for (int i = 0; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i]))
                throw new NonFiniteLogitsException(part.Request.ScoredTokens + i + 1);
        }

        part.Request.Stream.Write(scores);
        return part.Request.AcceptScores(part.Rows) ? FinishReason.Length : null;
    }

    private static FinishReason? TakeToken(GenerationRequest request, int row, DrawnTokens drawn, long timestamp)
    {
        int id = drawn.Ids.Span[row];
        if (id == Kernels.DrawnId.NonFinite)
            throw new NonFiniteLogitsException(request.PromptIds.Length + request.GeneratedTokens);
        if (id == Kernels.DrawnId.Nothing)
        {
            throw new InvalidOperationException(
                $"no token can be drawn after {request.GeneratedTokens} tokens: LogitBias and AllowedTokenIds forbid every one");
        }

        FinishReason? end = request.Accept(id);
        drawn.Write(row, request.Stream, timestamp);
        return end;
    }
}
