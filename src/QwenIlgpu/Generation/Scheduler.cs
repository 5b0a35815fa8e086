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
    private readonly PagePool pages;
    private readonly List<IRequest> waiting = [];
    private readonly List<IRequest> live = [];
    private readonly StepSequence[] prefillSequences;
    private readonly IRequest[] prefillRequests;
    private readonly int[] decodeSlots;
    private readonly StepRing ring;
    private bool lastWasPrefill;

    public Scheduler(StepRunner runner)
    {
        this.runner = runner;
        slots = new NumberPool(runner.Capacity.Slots);
        pages = new PagePool(runner.Capacity.Pages);
        Prefixes = new PrefixCache(runner, pages);
        prefillSequences = new StepSequence[runner.Capacity.MaxSequences];
        prefillRequests = new IRequest[runner.Capacity.MaxSequences];
        decodeSlots = new int[runner.Capacity.MaxSequences];
        ring = runner.Ring;
    }

    public PrefixCache Prefixes { get; }

    /// <summary>Requests that are live or waiting.</summary>
    public int Count => live.Count + waiting.Count;

    public IEnumerable<IRequest> All => live.Concat(waiting);

    public void Enqueue(IRequest request) => waiting.Add(request);

    /// <summary>Frees what cancelled requests hold and admits waiting ones; allocates only when it admits.</summary>
    public void Update()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].Sequence.Cancelled)
                Retire(live[i]);
        }

        waiting.RemoveAll(static request => request.Sequence.Cancelled);
        while (waiting.Count > 0 && slots.Available > 0)
        {
            SequenceProgress next = waiting[0].Sequence;
            PrefixMatch match = Prefixes.Hold(waiting[0]);
            if (!Prefixes.MakeRoom(next.NeededPages - match.Pages))
            {
                Prefixes.LetGo(match);
                if (!next.IsReportedWaiting)
                    Log.WaitsForPages(runner.Logger, next.NeededPages, Kernels.KvCache.PageTokens, pages.Available, pages.Count, live.Count);
                next.IsReportedWaiting = true;
                return;
            }

            IRequest admitted = waiting[0];
            waiting.RemoveAt(0);
            Admit(admitted, match);
        }
    }

    /// <summary>Queues a step if there is work, and hands out the tokens of the oldest one when its turn has come; false when idle.</summary>
    public bool Step()
    {
        bool queued = Queue();
        int inFlight = ring.InFlight;
        if (ring.IsFull || (inFlight > 0 && !queued))
            Collect();
        return queued || inFlight > 0;
    }

    private bool Queue()
    {
        bool prefilling = false;
        bool decoding = false;
        foreach (IRequest request in live)
        {
            prefilling |= request.Sequence.Prefilling;
            decoding |= request.Decoding;
        }

        if (!prefilling && !decoding)
            return false;
        lastWasPrefill = prefilling && !(decoding && lastWasPrefill);
        QueuedStep step = ring.Next();
        if (lastWasPrefill && !QueuePrefill(step))
            return true;
        if (!lastWasPrefill)
            QueueDecode(step);
        if (step.HasResults)
            runner.Sampler.ReadBack(step.Results, step.DrawnRows, step.ScoredRows);
        ring.Queue();
        return true;
    }

    private void Admit(IRequest request, PrefixMatch match)
    {
        SequenceProgress sequence = request.Sequence;

        // Live before the device is asked for anything: if it fails, the request ends with all others.
        live.Add(request);
        sequence.Slot = slots.Take();
        SlotContents? contents;
        try
        {
            int[] held = new int[sequence.NeededPages];
            match.CopyPages(held);
            for (int block = match.Pages; block < held.Length; block++)
                held[block] = pages.Take();
            sequence.Pages = held;
            request.Begin(Stopwatch.GetTimestamp());
            contents = request.ContentsFor(runner.Sampler);
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            EndAlone(request, e);
            return;
        }

        runner.State.SetPages(sequence.Slot, sequence.Pages);
        Prefixes.Resume(request, match);
        if (contents is not null)
            runner.Sampler.Admit(contents);
    }

    private void EndAlone(IRequest request, Exception error)
    {
        Retire(request);
        request.Fail(error);
    }

    private void Retire(IRequest request)
    {
        SequenceProgress sequence = request.Sequence;
        if (sequence.Retired)
            return;
        live.Remove(request);
        sequence.Retired = true;
        slots.Return(sequence.Slot);
        foreach (int page in sequence.Pages)
            pages.Release(page);
    }

    // False when no request had a part that can be run.
    private bool QueuePrefill(QueuedStep step)
    {
        int count = 0;
        int budgetRows = runner.Capacity.PrefillChunkTokens;
        for (int i = 0; i < live.Count; i++)
        {
            IRequest request = live[i];
            if (!request.Sequence.Prefilling)
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
            prefillSequences[count] = sequence with { Snapshots = Prefixes.TakeSlots(request.Sequence, sequence) };
            prefillRequests[count++] = request;
            request.QueuedPrefill(sequence, step);
        }

        if (count > 0)
            runner.Run(StepKind.Prefill, prefillSequences.AsSpan(0, count));
        for (int i = 0; i < count; i++)
            Prefixes.Keep(prefillRequests[i].Sequence, prefillSequences[i]);
        return count > 0;
    }

    private void QueueDecode(QueuedStep step)
    {
        foreach (IRequest request in live)
        {
            if (request is not GenerationRequest { Decoding: true } generation)
                continue;
            decodeSlots[step.DrawnRows] = generation.Sequence.Slot;
            generation.QueuedDraw(step);
        }

        runner.RunDecode(decodeSlots.AsSpan(0, step.DrawnRows));
    }

    private void Collect()
    {
        QueuedStep step = ring.Take();
        if (!step.HasResults)
            return;
        step.Results.Arrived.Wait();
        long timestamp = Stopwatch.GetTimestamp();
        foreach (ref readonly StepPart part in step.Parts)
            Deliver(part, step.Results, timestamp);
    }

    private void Deliver(in StepPart part, StepResults results, long timestamp)
    {
        IRequest request = part.Request;
        if (request.Sequence.Retired)
            return;
        try
        {
            if (!request.Take(results, part.FirstRow, part.Rows, timestamp))
                return;
            Retire(request);
            request.Complete();
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            EndAlone(request, e);
        }
    }
}
