using System.Diagnostics;

namespace QwenIlgpu;

/// <summary>
/// Decides what the next step holds. Requests are admitted in order of arrival when a slot and all pages they can come to need are
/// free; steps alternate between prefill and decode while there is work for both. A step may be queued before the tokens of the one
/// before have reached the host: the device itself feeds them on and leaves out sequences that ended, and what a step drew for a
/// request that has meanwhile ended is discarded.
/// </summary>
internal sealed class Scheduler
{
    private readonly StepRunner runner;
    private readonly NumberPool slots;
    private readonly NumberPool pages;
    private readonly Queue<GenerationRequest> waiting = new();
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

    public void Enqueue(GenerationRequest request) => waiting.Enqueue(request);

    /// <summary>Frees what cancelled requests hold and admits waiting ones; allocates only when it admits.</summary>
    public void Update()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].Cancelled)
                Retire(live[i]);
        }

        while (waiting.TryPeek(out GenerationRequest? next))
        {
            if (next.Cancelled)
            {
                waiting.Dequeue();
                continue;
            }

            int neededPages = (next.MostCachedTokens + Kernels.KvCache.PageTokens - 1) / Kernels.KvCache.PageTokens;
            if (slots.Available == 0 || pages.Available < neededPages)
                return;
            Admit(waiting.Dequeue(), neededPages);
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
        if (lastWasPrefill)
            QueuePrefill(step);
        else
            QueueDecode(step);
        if (step.Count + step.ScoredRows > 0)
            runner.Sampler.ReadBack(place, step.Count, step.ScoredRows);
        queuedSteps++;
        return true;
    }

    private void Admit(GenerationRequest request, int neededPages)
    {
        // Live before the device is asked for anything: if it fails, the request ends with all others.
        live.Add(request);
        request.Slot = slots.Take();
        request.Pages = new int[neededPages];
        for (int block = 0; block < neededPages; block++)
            request.Pages[block] = pages.Take();
        runner.State.SetPages(request.Slot, request.Pages);
        if (!request.Scores)
            runner.Sampler.Admit(request);
    }

    private void Retire(GenerationRequest request)
    {
        live.Remove(request);
        request.Retired = true;
        slots.Return(request.Slot);
        foreach (int page in request.Pages)
            pages.Return(page);
    }

    private void QueuePrefill(QueuedStep step)
    {
        int count = 0;
        int budgetRows = runner.Capacity.PrefillChunkTokens;
        foreach (GenerationRequest request in live)
        {
            if (!request.Prefilling)
                continue;
            StepSequence sequence = request.NextPrefill(budgetRows);
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

        runner.Run(StepKind.Prefill, prefillSequences.AsSpan(0, count));
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
            Deliver(step[row], row, drawn, timestamp);
        foreach (ScoredPart part in step.Scored)
            DeliverScores(part, drawn);
    }

    private void DeliverScores(ScoredPart part, DrawnTokens drawn)
    {
        GenerationRequest request = part.Request;
        if (request.Retired)
            return;
        request.Stream.Write(drawn.Scores.Span.Slice(part.FirstRow, part.Rows));
        if (!request.AcceptScores(part.Rows))
            return;
        Retire(request);
        request.Stream.Complete(FinishReason.Length);
    }

    private void Deliver(GenerationRequest request, int row, DrawnTokens drawn, long timestamp)
    {
        if (request.Retired)
            return;
        int id = drawn.Ids.Span[row];
        if (id == Kernels.Sampling.NothingDrawn)
        {
            Retire(request);
            request.Stream.Fail(new InvalidOperationException(
                $"no token can be drawn after {request.GeneratedTokens} tokens: every logit is NaN, -Infinity or masked"));
            return;
        }

        FinishReason? end = request.Accept(id);
        drawn.Write(row, request.Stream, timestamp);
        if (end is { } reason)
        {
            Retire(request);
            request.Stream.Complete(reason);
        }
    }
}
