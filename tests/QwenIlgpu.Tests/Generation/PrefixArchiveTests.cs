namespace QwenIlgpu.Tests;

/// <summary>A prefix tree that another engine goes on with.</summary>
[NonParallelizable]
internal sealed class PrefixArchiveTests
{
    private static EngineOptions Capacity { get; } =
        new() { MaxSequences = 2, ContextTokens = 512, CacheTokens = 1536, PrefillChunkTokens = 128, KvType = KvType.F32, DeviceSnapshots = 2 };

    // Three prompts of which two part: a node without a state, and a state that has left for the host.
    [Test]
    public void AnotherEngineGoesOnWithIt()
    {
        using var first = new PrefixRuns(Capacity, form: DeltaPrefillForm.Chunked);
        using var second = new PrefixRuns(Capacity, form: DeltaPrefillForm.Chunked);
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off }, form: DeltaPrefillForm.Chunked);
        int[][] prompts = [Ids(200, 0), [.. Ids(70, 0), .. Ids(130, 3)], Ids(100, 5)];
        foreach (int[] prompt in prompts)
            first.Answer(prompt);
        Assert.That(first.Scheduler.Prefixes.Store.HostTaken, Is.Positive);

        byte[] archive = Written(first);
        Assert.That(Read(second, archive), Is.EqualTo(192));

        Assert.That(second.Tree.Pages, Is.EqualTo(first.Tree.Pages));
        Assert.That(second.Tree.Checkpoints.Count, Is.EqualTo(first.Tree.Checkpoints.Count));
        foreach (int[] prompt in prompts)
        {
            GenerationRequest request = PrefixRuns.Request([.. prompt, 5, 6]);
            second.Run(request);
            Assert.That(request.Sequence.ResumedTokens, Is.EqualTo(prompt.Length / 64 * 64));
            Assert.That((request.Sequence.Origin, request.Sequence.IsReplayable), Is.EqualTo((PrefixOrigin.Session, false)));
            Assert.That(PrefixRuns.DrawnBy(request), Is.EqualTo(cold.Answer([.. prompt, 5, 6]).Drawn));
        }

        // What goes on from it is written as prefill's again.
        Assert.That(Written(second), Has.Length.GreaterThanOrEqualTo(archive.Length));
        second.AssertNothingIsLeft();
        first.AssertNothingIsLeft();
    }

    // Not a page too few is kept without what leads to it, and none is lost.
    [Test]
    public void WhatDoesNotFitIsPassedOver()
    {
        using var first = new PrefixRuns(Capacity);
        using var small = new PrefixRuns(Capacity with { MaxSequences = 1, ContextTokens = 128, CacheTokens = 128 });
        first.Answer(Ids(300, 0));
        first.Answer(Ids(100, 5));
        byte[] archive = Written(first);

        int longest = Read(small, archive);

        Assert.That(longest, Is.LessThanOrEqualTo(128));
        SchedulerInvariants.Check(small.Scheduler, small.Runner);
        small.AssertNothingIsLeft();
    }

    [TestCase(0, "parent")]
    [TestCase(4, "longer than what is there")]
    [TestCase(8, "parent")]
    public void NodesThatAreNoneAreRefusedAndLeaveNothing(int place, string fault)
    {
        using var first = new PrefixRuns(Capacity);
        using var second = new PrefixRuns(Capacity);
        first.Answer(Ids(100, 0));
        byte[] archive = Written(first);
        archive[place] = 77;

        Assert.That(() => Read(second, archive), Throws.TypeOf<InvalidDataException>().With.Message.Contains(fault));
        second.AssertNothingIsLeft();
    }

    private static byte[] Written(PrefixRuns runs)
    {
        using PrefixArchive archive = ArchiveOf(runs);
        using var stream = new MemoryStream();
        archive.Write(stream.Write);
        Assert.That(stream.Length, Is.EqualTo(archive.Bytes));
        return stream.ToArray();
    }

    private static int Read(PrefixRuns runs, byte[] bytes)
    {
        using PrefixArchive archive = ArchiveOf(runs);
        using var stream = new MemoryStream(bytes);
        return archive.Read(bytes.Length, stream.ReadExactly);
    }

    private static PrefixArchive ArchiveOf(PrefixRuns runs)
    {
        PrefixCache prefixes = runs.Scheduler.Prefixes;
        return new PrefixArchive(prefixes.Tree, prefixes.Store, runs.Scheduler.Live.Pages, runs.Runner.State, TestModels.Tiny.Device);
    }

    private static int[] Ids(int count, int kind) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7 + kind) % 2000)];
}
