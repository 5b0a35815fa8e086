namespace QwenIlgpu;

/// <summary>
/// Decides what the next step holds. Requests are admitted in order of arrival when a slot and all pages they can come to need are
/// free; steps alternate between prefill and decode while there is work for both.
/// </summary>
internal sealed class Scheduler
{
    private readonly StepRunner runner;
    private readonly NumberPool slots;
    private readonly NumberPool pages;
    private readonly Queue<GenerationRequest> waiting = new();
    private readonly List<GenerationRequest> live = [];
    private readonly GenerationRequest[] stepRequests;
    private readonly StepSequence[] stepSequences;
    private bool lastWasPrefill;

    public Scheduler(StepRunner runner)
    {
        this.runner = runner;
        slots = new NumberPool(runner.Capacity.State.Slots);
        pages = new NumberPool(runner.Capacity.State.Pages);
        stepRequests = new GenerationRequest[runner.Capacity.MaxSequences];
        stepSequences = new StepSequence[runner.Capacity.MaxSequences];
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

    /// <summary>Runs one step and hands its tokens out; false when no request is live.</summary>
    public bool Step()
    {
        if (live.Count == 0)
            return false;
        bool prefilling = live.Exists(r => r.Prefilling);
        bool decoding = live.Exists(r => !r.Prefilling);
        lastWasPrefill = prefilling && !(decoding && lastWasPrefill);
        int count = lastWasPrefill ? GatherPrefill() : GatherDecode();
        runner.Run(lastWasPrefill ? StepKind.Prefill : StepKind.Decode, stepSequences.AsSpan(0, count));
        Deliver(count);
        return true;
    }

    private void Admit(GenerationRequest request, int neededPages)
    {
        // Live before the device is asked for anything: if it fails, the request ends with all others.
        live.Add(request);
        request.Slot = slots.Take();
        request.Pages = new int[neededPages];
        for (int block = 0; block < neededPages; block++)
        {
            request.Pages[block] = pages.Take();
            runner.State.SetPage(request.Slot, block, request.Pages[block]);
        }

        runner.Sampler.Admit(request.Slot, request.PromptIds, request.Sampling);
    }

    private void Retire(GenerationRequest request)
    {
        live.Remove(request);
        slots.Return(request.Slot);
        foreach (int page in request.Pages)
            pages.Return(page);
    }

    private int GatherPrefill()
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
            Add(request, sequence, ref count);
        }

        return count;
    }

    private int GatherDecode()
    {
        int count = 0;
        foreach (GenerationRequest request in live)
        {
            if (!request.Prefilling)
                Add(request, request.NextDecode(), ref count);
        }

        return count;
    }

    private void Add(GenerationRequest request, StepSequence sequence, ref int count)
    {
        stepRequests[count] = request;
        stepSequences[count++] = sequence;
    }

    private void Deliver(int count)
    {
        int logitRows = 0;
        for (int i = 0; i < count; i++)
            logitRows += stepSequences[i].LogitRows;
        if (logitRows > 0)
            runner.Sampler.ReadBack(logitRows);
        int logit = 0;
        for (int i = 0; i < count; i++)
        {
            GenerationRequest request = stepRequests[i];
            request.Advance(stepSequences[i].Tokens.Length);
            if (stepSequences[i].Logits == LogitsWanted.None)
                continue;
            int id = runner.Sampler.IdOf(logit);
            if (id == Kernels.Sampling.NothingDrawn)
            {
                Retire(request);
                request.Stream.Fail(new InvalidOperationException(
                    $"no token can be drawn at position {request.Position}: every logit is NaN, -Infinity or masked"));
                logit++;
                continue;
            }

            FinishReason? end = request.Accept(id);
            runner.Sampler.Write(logit++, request.Stream);
            if (end is { } reason)
            {
                Retire(request);
                request.Stream.Complete(reason);
            }
        }
    }
}
