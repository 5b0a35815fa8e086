using System.Diagnostics;

namespace QwenIlgpu;

/// <summary>
/// Decides what the next step holds: <see cref="Admission"/> says who is live, <see cref="PageGrowth"/> gives pages as they are needed, and
/// where they run out <see cref="Preemption"/> takes some back. Steps alternate between prefill and decode while there is work for both. A
/// step may be queued before the tokens of the one before have reached the host: the device itself feeds them on and leaves out sequences that
/// ended, and what a step drew for a request that has meanwhile ended is discarded. What fails on the host for one request's sake ends that
/// request; what fails on the device is thrown.
/// </summary>
internal sealed class Scheduler
{
    private readonly StepRunner runner;
    private readonly PageGrowth growth;
    private readonly StepSequence[] prefillSequences;
    private readonly IRequest[] prefillRequests;
    private readonly int[] decodeSlots;
    private readonly StepRing ring;
    private bool lastWasPrefill;

    public Scheduler(StepRunner runner)
    {
        this.runner = runner;
        var pages = new PagePool(runner.Capacity.Pages);
        Prefixes = new PrefixCache(runner, pages);
        Live = new LiveRequests(runner.State, pages, Prefixes);
        growth = new PageGrowth(Live);
        Preemption = new Preemption(Live, Prefixes, runner.SpillSpace, runner.Logger);
        Admission = new Admission(runner, Live, Prefixes, Preemption);
        prefillSequences = new StepSequence[runner.Capacity.MaxSequences];
        prefillRequests = new IRequest[runner.Capacity.MaxSequences];
        decodeSlots = new int[runner.Capacity.MaxSequences];
        ring = runner.Ring;
    }

    public PrefixCache Prefixes { get; }

    public LiveRequests Live { get; }

    public Preemption Preemption { get; }

    public Admission Admission { get; }

    /// <summary>Requests that have not ended.</summary>
    public int Count => Live.Count + Preemption.Spilled.Count + Admission.Waiting.Count;

    /// <summary>Those requests; in order of arrival but for those that gave up their pages.</summary>
    public IEnumerable<IRequest> All => Live.All.Concat(Preemption.Spilled.Select(s => s.Request)).Concat(Admission.Waiting);

    public void Enqueue(IRequest request) => Admission.Enqueue(request);

    /// <summary>Frees what cancelled requests hold and admits others; allocates only when it admits.</summary>
    public void Update()
    {
        for (int i = Live.Count - 1; i >= 0; i--)
        {
            if (Live[i].Sequence.Cancelled)
                Live.End(Live[i]);
        }

        Preemption.DropCancelled();
        Admission.DropCancelled();
        Admission.Admit();
    }

    /// <summary>Queues a step if there is work, and hands out the tokens of the oldest one when its turn has come; false when idle.</summary>
    public bool Step()
    {
        bool inFlight = ring.InFlight > 0;
        bool queued = Queue();
        if (ring.IsFull || (ring.InFlight > 0 && !queued))
            Collect();
        return queued || inFlight;
    }

    private bool Queue()
    {
        bool prefilling = false;
        bool decoding = false;
        foreach (IRequest request in Live)
        {
            prefilling |= request.Sequence.Prefilling;
            decoding |= request.Decoding;
        }

        if (!prefilling && !decoding)
            return false;
        lastWasPrefill = prefilling && !(decoding && lastWasPrefill);
        if (!lastWasPrefill)
            Grow();
        QueuedStep step = ring.Next();

        // Whoever was to have a part in it may have ended or given up its pages: the next step has others.
        if (lastWasPrefill ? !QueuePrefill(step) : !QueueDecode(step))
            return true;
        if (step.HasResults)
            runner.Sampler.ReadBack(step.Results, step.DrawnRows, step.ScoredRows);
        ring.Queue();
        return true;
    }

    // What is in flight may end a request, and nobody gives up pages whose last token the host has not seen.
    private void Grow()
    {
        while (!growth.TryGrow())
        {
            if (ring.InFlight > 0)
                Collect();
            else
                Preemption.GiveUpYoungest();
        }
    }

    // False when no request had a part that can be run.
    private bool QueuePrefill(QueuedStep step)
    {
        int count = 0;
        int budgetRows = runner.Capacity.PrefillChunkTokens;
        for (int i = 0; i < Live.Count; i++)
        {
            IRequest request = Live[i];
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
                Live.Fail(request, e);
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

    private bool QueueDecode(QueuedStep step)
    {
        for (int i = 0; i < Live.Count; i++)
        {
            if (Live[i] is not GenerationRequest { Decoding: true } request)
                continue;
            int row = step.DrawnRows;
            decodeSlots[row] = request.Sequence.Slot;
            if (request.Replaying)
            {
                (int token, int position) = request.NextReplayed;
                runner.Sampler.Feed(request.Sequence.Slot, token, position);
                request.QueuedReplay(step);
            }
            else if (!request.HasReplayed || Resume(request))
            {
                request.QueuedDraw(step);
            }
            else
            {
                i--;
            }
        }

        if (step.DrawnRows == 0)
            return false;
        runner.RunDecode(decodeSlots.AsSpan(0, step.DrawnRows));
        foreach (IRequest request in Live)
            Prefixes.FollowAnswer(request);
        return true;
    }

    private bool Resume(GenerationRequest request)
    {
        request.Resumed();
        return Admission.TryPrepareSlot(request);
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
            Live.End(request);
            request.Complete();
        }
#pragma warning disable CA1031 // Whatever it is, it is this request's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Live.Fail(request, e);
        }
    }
}
