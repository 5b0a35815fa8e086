using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>What holds of a scheduler between any two calls of it, whatever its requests do.</summary>
internal static class SchedulerInvariants
{
    /// <summary>Throws where slots, pages, the page table or the host's memory are not as the requests have them.</summary>
    public static void Check(Scheduler scheduler, StepRunner runner)
    {
        CheckSlots(scheduler);
        CheckPages(scheduler);
        CheckTable(scheduler, runner);
        CheckHost(scheduler, runner.SpillSpace, mayExceed: runner.Capacity.PrefixCache == PrefixCacheMode.Reuse);
        CheckSnapshots(scheduler, runner);
    }

    private static void CheckSnapshots(Scheduler scheduler, StepRunner runner)
    {
        StateCopy[] copies = [.. scheduler.Prefixes.Tree.Checkpoints.Select(node => node.State!)];
        int[] slots = [.. copies.Select(copy => copy.Slot).Where(slot => slot != 0), .. scheduler.Live.All.Select(r => r.Sequence.Rolling.Slot).Where(slot => slot != 0)];
        HostBuffer<byte>[] buffers = [.. copies.Select(copy => copy.Host).OfType<HostBuffer<byte>>()];
        if (slots.Distinct().Count() != slots.Length)
            Fail($"two states lie in one slot: {Text(slots)}");
        if (slots.Any(s => s < runner.Capacity.Slots || s >= runner.Capacity.StateSlots))
            Fail($"states lie in slots of sequences: {Text(slots)}");
        if (copies.Any(copy => copy.Slot == 0 == copy.Host is null))
            Fail("a state lies in two places or none");
        if (buffers.Distinct().Count() != buffers.Length)
            Fail("two states lie in one block of the host");
        if (scheduler.Prefixes.Store.SlotsTaken != slots.Length)
            Fail($"{scheduler.Prefixes.Store.SlotsTaken} slots are taken, {slots.Length} hold states");
        if (scheduler.Prefixes.Store.HostTaken != buffers.Length)
            Fail($"{scheduler.Prefixes.Store.HostTaken} blocks are taken, {buffers.Length} hold states");
    }

    private static void CheckSlots(Scheduler scheduler)
    {
        LiveRequests live = scheduler.Live;
        int[] slots = [.. live.All.Select(r => r.Sequence.Slot)];
        if (slots.Distinct().Count() != slots.Length)
            Fail($"slots are shared: {Text(slots)}");
        if (slots.Any(s => s < 1 || s > live.Slots.Count))
            Fail($"slots are not of 1 to {live.Slots.Count}: {Text(slots)}");
        if (live.Slots.Available + slots.Length != live.Slots.Count)
            Fail($"{live.Slots.Available} slots are free, {slots.Length} held, {live.Slots.Count} there");
        if (NotLive(scheduler).Any(r => r.Sequence is not { Slot: 0, PageCount: 0, Retired: false }))
            Fail("a request that is not live holds something or has ended");
        if (live.All.Any(r => r.Sequence.Retired))
            Fail("a live request has ended");
    }

    private static void CheckPages(Scheduler scheduler)
    {
        PagePool pool = scheduler.Live.Pages;
        int[] owners = new int[pool.Count + 1];
        foreach (IRequest request in scheduler.Live.All)
        {
            ReadOnlySpan<int> pages = request.Sequence.Pages;
            if (pages.Length < EngineCapacity.PagesOf(request.CachedTokens))
                Fail($"{request.CachedTokens} tokens are cached in {pages.Length} pages");
            if (pages.Length > request.Sequence.NeededPages)
                Fail($"{pages.Length} pages are held, {request.Sequence.NeededPages} can be needed");
            foreach (int page in pages)
                owners[page]++;
        }

        PrefixTreeInvariants.Check(scheduler.Prefixes.Tree, pool, scheduler.Live.All.SelectMany(request => request.Sequence.Pages.ToArray()));
        foreach (int page in PrefixTreeInvariants.PagesOf(scheduler.Prefixes.Tree))
            owners[page]++;
        int free = 0;
        for (int page = 1; page < owners.Length; page++)
        {
            if (pool.ReferencesOf(page) != owners[page])
                Fail($"page {page} has {pool.ReferencesOf(page)} references and {owners[page]} owners");
            free += owners[page] == 0 ? 1 : 0;
        }

        if (owners[0] != 0)
            Fail("page 0 is held");
        if (pool.Available != free)
            Fail($"{pool.Available} pages are free, {free} without owner");
    }

    private static void CheckTable(Scheduler scheduler, StepRunner runner)
    {
        Matrix<int> table = runner.State.PageTable;
        int[] entries = new int[table.Data.Length];
        table.Data.CopyToCPU(TestModels.Tiny.Device.Stream, entries);
        TestModels.Tiny.Device.Synchronize();
        foreach (IRequest request in scheduler.Live.All)
        {
            ReadOnlySpan<int> row = entries.AsSpan(request.Sequence.Slot * table.Columns, request.Sequence.PageCount);
            if (!row.SequenceEqual(request.Sequence.Pages))
                Fail($"slot {request.Sequence.Slot} reads pages {Text(row)}, its request has {Text(request.Sequence.Pages)}");
        }
    }

    private static void CheckHost(Scheduler scheduler, SpillSpace space, bool mayExceed)
    {
        long usedBytes = 0;
        var blocks = new HashSet<HostBuffer<byte>>();
        foreach (SpilledSequence contents in scheduler.Preemption.Spilled.Select(s => s.Contents).OfType<SpilledSequence>())
        {
            usedBytes += space.BytesOf(contents.Pages.Length);
            if (!blocks.Add(contents.State) || !contents.Pages.All(blocks.Add))
                Fail("two sequences lie in one block of the host");
        }

        if (space.UsedBytes != usedBytes)
            Fail($"{space.UsedBytes} bytes of the host are in use, {usedBytes} owned");
        if (space.UsedBytes > space.AllocatedBytes || (space.AllocatedBytes > space.BudgetBytes && !mayExceed))
            Fail($"{space.AllocatedBytes} bytes of the host are taken, {space.BudgetBytes} allowed");
    }

    private static IEnumerable<IRequest> NotLive(Scheduler scheduler) =>
        scheduler.Preemption.Spilled.Select(s => s.Request).Concat(scheduler.Admission.Waiting).Where(r => !r.Sequence.Cancelled);

    private static string Text(ReadOnlySpan<int> values) => string.Join(", ", values.ToArray());

    private static void Fail(string message) => throw new AssertionException(message);
}
