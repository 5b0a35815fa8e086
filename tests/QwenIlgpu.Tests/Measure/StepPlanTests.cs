namespace QwenIlgpu.Tests;

/// <summary>A recorded plan is the step that runs.</summary>
internal sealed class StepPlanTests
{
    private const int MostLaunchesOf27B = 360;

    [TestCase(KvType.Bf16)]
    [TestCase(KvType.F32)]
    public async Task APlanHasTheNodesOfTheBoundStep(KvType kvType)
    {
        QwenConfig config = SyntheticShape.Cut(SyntheticShape.Of("0.8b"), 4, 1024);
        await using QwenModel model = SyntheticModel.Create("synthetic", config, ComputeDevice.OpenCpu(), HeadQuantization.None, seed: 1);
        using var sequences = new SequenceRunner(model, kvType, maxSequences: 1, contextTokens: 64);

        OpGraph bound = sequences.Runner.GraphOf(StepShape.Decode(1)).Graph;
        OpGraph planned = StepPlan.RecordDecode(model, kvType);

        Assert.That(planned.Nodes.Select(n => (n.ToString(), n.MovedBytes, n.BytesPerContextToken, n.LaunchCount)), Is.EqualTo(bound.Nodes.Select(n => (n.ToString(), n.MovedBytes, n.BytesPerContextToken, n.LaunchCount))));
        Assert.That(planned.ArenaBytes, Is.EqualTo(bound.ArenaBytes));
    }

    [Test]
    public void NodesBindAsManyLaunchesAsTheySay([Values] StepKind kind)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);
        StepShape shape = kind == StepKind.Decode ? StepShape.Decode(2) : new StepShape(StepKind.Prefill, 70, 1, 1, 2, true);

        OpGraph graph = sequences.Runner.GraphOf(shape).Graph;

        Assert.That(graph.Nodes.Select(n => (n.ToString(), n.LaunchCount)), Is.EqualTo(graph.Nodes.Select(n => (n.ToString(), n.Launches.Count))));
    }

    [Test]
    public void AttentionAloneReadsMoreWithMoreContext()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, KvType.Bf16);
        QwenConfig config = TestModels.Tiny.Config;

        OpGraph graph = sequences.Runner.GraphOf(StepShape.Decode(1)).Graph;

        Assert.That(graph.Nodes.Sum(n => n.BytesPerContextToken), Is.EqualTo(config.KvBytesPerToken(KvType.Bf16)));
        Assert.That(graph.Nodes.Where(n => n.BytesPerContextToken > 0).Select(n => n.Op).Distinct(), Is.All.EndsWith("attention"));
        Assert.That(
            graph.Nodes.Sum(n => n.MovedBytesAt(1000)) - graph.Nodes.Sum(n => n.MovedBytesAt(0)), Is.EqualTo(1000 * config.KvBytesPerToken(KvType.Bf16)));
    }

    [Test]
    public async Task ATokenOf27BTakesFewLaunchesAndLittleMoreThanItsWeights()
    {
        await using QwenModel model = SyntheticModel.CreateUnfilled(
            "27b", SyntheticShape.Of("27b"), ComputeDevice.OpenCpu(recordsWarpKernels: true), HeadQuantization.Int8);

        var plan = NodePlan.Of(StepPlan.RecordDecode(model, KvType.Bf16), 1024, H100.BytesPerSecond);

        Assert.That(plan.Launches, Is.LessThanOrEqualTo(MostLaunchesOf27B));
        Assert.That(plan.Bytes / 1e9, Is.InRange(13.9, 14.6), "13.9 GB of weights with an INT8 head, then state and cache");
        Assert.That(model.WeightBytes, Is.LessThan(50_000_000), "the vectors alone are there");
    }
}
