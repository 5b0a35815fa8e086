using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Draws from what each row's cut leaves, advances the slot's draw index and counts the token; reports log-probabilities. A group of 256
/// threads is a task. logits: [R, V] float; rowSlot, cutoffs, ids: [R].
/// </summary>
/// <remarks>
/// Every way to draw takes the same steps, with nothing to do in some: what follows a barrier that only some rows come to would be
/// compiled once for each way.
/// </remarks>
[LaunchBounds(GroupScan.Threads)]
internal readonly struct DrawKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SectionScratch scratch,
    ArrayView<ulong> cutoffs, ArrayView<int> ids, LogProbs logProbs) : IGroupKernel
{
    private int Sections => VocabularySections.Count(vocabularySize);

    public static void Draw(DrawKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<long> scan = SharedMemory.Allocate<long>(GroupScan.Words);
        ArrayView<long> shared = SharedMemory.Allocate<long>(RankBuckets.Count);        // a histogram, then a list
        ArrayView<long> masses = SharedMemory.Allocate<long>(VocabularySections.Most);
        int task = Grid.IdxX;
        var work = new SampleTask(logits, rowSlot, slots, task);
        bool isWanted = work.IsWanted && !(work.Reports && !work.CutsRanking);
        ulong first = isWanted ? scratch.First[task] : RankedToken.None;
        bool weighs = work.Weighs(first);
        bool isDecided = isWanted && !weighs && !work.Reports && !work.Scores.Parameters.Has(SlotParameters.HasLogProbs);
        if (isDecided)
            Finish(work, RankedToken.Drawn(first), first, 0);
        if (isDecided || !isWanted)
            return;

        float best = RankedToken.Score(first);
        bool cuts = weighs && work.CutsRanking;
        bool takesK = work.Scores.Parameters.DrawsFromTopK;
        RankCut cut = cuts ? scratch.Cut[task] : default;
        int listed = cuts ? scratch.ListedCount[task] : 0;
        bool overflows = listed > RankedList.Capacity;
        ulong cutoff = CutoffSearch.Find(work, vocabularySize, best, cut, overflows, shared, scan);
        ArrayView<ulong> list = shared.Cast<ulong>();
        listed = FillList(work, task, listed, takesK ? cutoff : RankedToken.None, overflows, list, masses);
        RankedList.Sort(list, RankedList.PaddedLength(listed));
        double logSum = LogSum(work.Row, scan);
        if (work.Reports)
            Report(work, list, listed, logSum);
        if (Group.IdxX < VocabularySections.Most)
            masses[Group.IdxX] = weighs && !takesK && !overflows && Group.IdxX < Sections ? scratch.Mass[task, Group.IdxX] : 0;
        ulong last = KeepOfList(work, best, cut, list, listed, masses, scan);
        if (!cuts)
            cutoff = RankedToken.Of(work.Scores.Threshold(best), int.MaxValue);
        else if (listed > 0)
            cutoff = last;
        if (overflows && !takesK)
            SumKept(work, best, cutoff, masses);
        int id = DrawFromSections(work, best, cutoff, masses, scan);
        if (!work.Reports)
            Finish(work, weighs ? id : RankedToken.Drawn(first), weighs ? cutoff : first, logSum);
    }

    /// <summary>
    /// Brings the task's list into shared memory and returns its length. If it overflows, every token that ranks at a top-k's cutoff or
    /// before it is listed, of which there is room for all. Behind the list lies what the search for the cutoff left, zeros or numbers of
    /// tokens: they rank behind any token.
    /// </summary>
    private int FillList(
        SampleTask work, int task, int listed, ulong topKCutoff, bool overflows, ArrayView<ulong> list, ArrayView<long> counter)
    {
        ArrayView<int> count = counter.Cast<int>();
        if (Group.IdxX == 0)
            count[0] = overflows ? 0 : listed;
        Group.Barrier();
        if (overflows && topKCutoff != RankedToken.None)
        {
            for (int id = Group.IdxX; id < vocabularySize; id += GroupScan.Threads)
            {
                float score = work.Scores.At(id);
                if (score > float.NegativeInfinity && RankedToken.Of(score, id) >= topKCutoff)
                    list[GroupScope.FetchAdd(ref count[0], 1) & (RankedList.Capacity - 1)] = RankedToken.Of(score, id);
            }
        }
        else if (!overflows)
        {
            for (int i = Group.IdxX; i < listed; i += GroupScan.Threads)
                list[i] = scratch.Listed[task, i];
        }

        Group.Barrier();
        return count[0];
    }

    /// <summary>
    /// Cuts a sorted list by count and by mass, min-p having cut it already; adds the mass of what is kept to its sections and returns the
    /// last kept. Each thread holds neighbouring places.
    /// </summary>
    private ulong KeepOfList(
        SampleTask work, float best, RankCut cut, ArrayView<ulong> list, int listed, ArrayView<long> masses, ArrayView<long> scan)
    {
        SlotParameters parameters = work.Scores.Parameters;
        bool takesK = parameters.DrawsFromTopK;
        int length = takesK ? XMath.Min(listed, parameters.TopK) : listed;
        int share = (int)((uint)(length + GroupScan.Threads - 1) / GroupScan.Threads);
        int place = XMath.Min(Group.IdxX * share, length);
        int end = XMath.Min(place + share, length);
        long own = 0;
        for (int i = place; i < end; i++)
            own += work.Mass(RankedToken.Score(list[i]), best);
        long reached = GroupScan.Sum(scan, own) - own;
        long target = long.MaxValue;
        if (!takesK)
        {
            reached += cut.Before;
            target = cut.Target;
        }
        else if (parameters.TopP < 1)
        {
            target = RankBuckets.ShareOf(GroupScan.Total(scan), parameters.TopP);
        }

        ArrayView<int> words = masses.Cast<int>();
        int kept = place;
        while (kept < end && reached < target)
        {
            long mass = work.Mass(RankedToken.Score(list[kept]), best);
            RankBuckets.Add(words, (int)((uint)RankedToken.Id(list[kept]) / VocabularySections.Length), mass);
            reached += mass;
            kept++;
        }

        bool holdsLast = kept > place && (kept == length || reached >= target);
        return (ulong)GroupScan.Only(scan, holdsLast, (long)list[XMath.Max(kept - 1, 0)], 0).First;
    }

    /// <summary>The mass of what the cutoff keeps of each section, from the logits.</summary>
    private void SumKept(SampleTask work, float best, ulong cutoff, ArrayView<long> masses)
    {
        ArrayView<int> words = masses.Cast<int>();
        for (int section = 0; section < Sections; section++)
        {
            int end = XMath.Min((section + 1) * VocabularySections.Length, vocabularySize);
            long mass = 0;
            for (int id = (section * VocabularySections.Length) + Group.IdxX; id < end; id += GroupScan.Threads)
                mass += KeptMass(work, best, cutoff, id);
            if (mass != 0)
                RankBuckets.Add(words, section, mass);
        }
    }

    private static long KeptMass(SampleTask work, float best, ulong cutoff, int id)
    {
        float score = work.Scores.At(id);
        return score > float.NegativeInfinity && RankedToken.Of(score, id) >= cutoff ? work.Mass(score, best) : 0;
    }

    /// <summary>The first id, ascending, at which the mass of the kept tokens exceeds the slot's next uniform of their whole mass.</summary>
    private int DrawFromSections(SampleTask work, float best, ulong cutoff, ArrayView<long> masses, ArrayView<long> scan)
    {
        SlotParameters parameters = work.Scores.Parameters;
        int drawIndex = work.Reports ? 0 : slots.DrawIndex[work.Slot];         // which the row's other task advances
        double uniform = Philox.Uniform(parameters.SeedLow, parameters.SeedHigh, drawIndex);
        Group.Barrier();
        long mass = masses[Group.IdxX];
        long until = GroupScan.Sum(scan, mass);
        long whole = GroupScan.Total(scan);
        long target = (long)(uniform * whole);
        target = target < whole ? target : whole - 1;
        (long section, long before) = GroupScan.Only(scan, Crosses(until, mass, target), Group.IdxX, until - mass);

        const int Share = VocabularySections.Length / GroupScan.Threads;
        int start = (XMath.Min((int)section, Sections - 1) * VocabularySections.Length) + (Group.IdxX * Share);
        int end = XMath.Min(start + Share, vocabularySize);
        mass = 0;
        for (int id = start; id < end; id++)
            mass += KeptMass(work, best, cutoff, id);
        until = before + GroupScan.Sum(scan, mass);
        int drawn = start - 1;
        long reached = until - mass;
        if (Crosses(until, mass, target))
        {
            while (reached <= target)
                reached += KeptMass(work, best, cutoff, ++drawn);
        }

        return (int)GroupScan.Only(scan, Crosses(until, mass, target), drawn, 0).First;
    }

    private static bool Crosses(long until, long mass, long target) => until - mass <= target && target < until;

    /// <summary>log Σ exp(logits) of a row that asks for log-probabilities; NaN where a logit is +∞.</summary>
    private double LogSum(int row, ArrayView<long> scan)
    {
        int task = logits.Rows + row;
        float best = RankedToken.Score(scratch.First[task]);
        double mass = GroupScan.Total(scan, Group.IdxX < Sections ? scratch.Mass[task, Group.IdxX] : 0) * (1.0 / SampleTask.Unit);
        return best < float.PositiveInfinity ? best + XMath.Log((float)mass) : double.NaN;
    }

    private void Report(SampleTask work, ArrayView<ulong> list, int listed, double logSum)
    {
        int i = Group.IdxX;
        if (i < work.Scores.Parameters.TopK)
        {
            logProbs.TopIds[work.Row, i] = i < listed ? RankedToken.Id(list[i]) : DrawnId.Nothing;
            logProbs.Top[work.Row, i] = i < listed ? (float)(RankedToken.Score(list[i]) - logSum) : float.NegativeInfinity;
        }
    }

    private void Finish(SampleTask work, int id, ulong cutoff, double logSum)
    {
        if (Group.IdxX == 0)
        {
            SlotParameters parameters = work.Scores.Parameters;
            bool reports = parameters.Has(SlotParameters.HasLogProbs) && id >= 0;
            logProbs.Drawn[work.Row] = reports ? (float)(logits[work.Row, id] - logSum) : float.NaN;
            cutoffs[work.Row] = cutoff;
            ids[work.Row] = id;
            if (work.Slot != 0)
            {
                slots.DrawIndex[work.Slot]++;
                if (id >= 0 && parameters.Has(SlotParameters.HasPenalties))
                    slots.Seen[work.Slot, id]++;
            }
        }
    }
}
