using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>What a step costs the host once everything is recorded.</summary>
[NonParallelizable]
internal sealed class SteadyDecodeTests
{
    [Test]
    public void AllocatesNothingOfOursWhateverThePosition()
    {
        if (!TestModels.Tiny.Device.IsCpu)
            Assert.Ignore("the CUDA launch path has a stricter test of its own");
        using var sequences = new SequenceRunner(TestModels.Tiny);
        var scheduler = new Scheduler(sequences.Runner);
        var stream = new TokenStream(400, -1);
        ResolvedSampling sampling = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0.8f, TopK = 20, TopP = 0.9f, Seed = 1 }, null, 2048, static _ => true, () => 0);
        scheduler.Enqueue(new GenerationRequest([5, 6, 7], 400, new HashSet<int>(), sampling, stream));
        scheduler.Update();
        for (int i = 0; i < 20; i++)
            scheduler.Step();
        long launchBytes = BytesOfALaunch();

        // The least of many: on a busy machine ILGPU's launches allocate a little more now and then, which is no step's doing.
        long[] bytes = [.. Enumerable.Range(0, 200).Select(_ => BytesOf(() => scheduler.Step()))];
        Assert.That(bytes[..100].Min(), Is.EqualTo(launchBytes), "bytes per step beside those of ILGPU's own launch");
        Assert.That(bytes[100..].Min(), Is.EqualTo(launchBytes), "bytes per step further on, over a page boundary");
    }

    // The steps that a page is taken in, each by itself: the least of all steps would hide them.
    [Test]
    public void TakingAPageAllocatesNothing()
    {
        if (!TestModels.Tiny.Device.IsCpu)
            Assert.Ignore("the CUDA launch path has a stricter test of its own");
        using var sequences = new SequenceRunner(TestModels.Tiny);
        var scheduler = new Scheduler(sequences.Runner);
        ResolvedSampling sampling = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, () => 0);
        var request = new GenerationRequest([5, 6, 7], 700, new HashSet<int>(), sampling, new TokenStream(700, -1));
        scheduler.Enqueue(request);
        scheduler.Update();
        for (int i = 0; i < 20; i++)
            scheduler.Step();
        long launchBytes = BytesOfALaunch();

        var bytes = new List<long>();
        for (int i = 0; i < 600; i++)
        {
            int pages = request.Sequence.PageCount;
            long ofStep = BytesOf(() => scheduler.Step());
            if (request.Sequence.PageCount > pages)
                bytes.Add(ofStep);
        }

        Assert.That(bytes, Has.Count.EqualTo(9));
        Assert.That(bytes.Min(), Is.EqualTo(launchBytes), "bytes of a step that takes a page beside those of ILGPU's own launch");
    }

    [Test]
    public void LaunchesPerTokenAreCounted()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);

        OpGraph graph = sequences.Runner.GraphOf(StepShape.Decode(1)).Graph;

        // 6 delta layers of 16 nodes, 2 attention layers of 13; feed, embedding, norm, head, sampling (five launches) and advance.
        Assert.That(graph.Nodes, Has.Count.EqualTo((6 * 16) + (2 * 13) + 6));
        Assert.That(graph.Launches.Length, Is.EqualTo(graph.Nodes.Count + 4));
    }

    // ILGPU's CPU accelerator allocates a task object a launch, and a step is one.
    private static long BytesOfALaunch()
    {
        ComputeDevice device = TestModels.Tiny.Device;
        CpuSequence nothing = CpuSequence.Of([]);
        return Enumerable.Range(0, 50).Min(_ => BytesOf(() => device.Loader.Cpu.Run(device.Stream, nothing)));
    }

    private static long BytesOf(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
