using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>A step that the CPU's threads go through as one launch does what its launches do one after the other.</summary>
[NonParallelizable]
internal sealed class CpuReplayTests
{
    private static readonly int[] Prompt = [.. Enumerable.Range(0, 70).Select(i => (i * 37) % 2048)];

    [TestCase(KvType.F32, false)]
    [TestCase(KvType.Bf16, true)]
    [TestCase(KvType.Int4, false)]
    public void ReplayEqualsLaunches(KvType pages, bool gptq)
    {
        QwenModel model = CpuModel(gptq);

        float[] launches = Logits(model, pages, replays: false);

        Assert.That(Logits(model, pages, replays: true), Is.EqualTo(launches));
    }

    [Test]
    public void StepsOfEveryShapeAreReplayed()
    {
        using var sequences = new SequenceRunner(CpuModel(gptq: false));

        Assert.That(sequences.Runner.GraphOf(StepShape.Decode(1)).Runner, Is.InstanceOf<CpuReplayRunner>());
        Assert.That(
            sequences.Runner.GraphOf(new StepShape(StepKind.Prefill, 5, 1, 1, 1, Samples: true)).Runner, Is.InstanceOf<CpuReplayRunner>());
    }

    [Test]
    public void SmallNodesStayWithOneThread()
    {
        var graph = new OpGraph("test");
        Tensor row = graph.NewTensor("row", 1, 1024);
        graph.Add("norm", [row], [row], 4096, () => []);
        graph.Add("linear", [row], [row], 2 << 20, () => []);
        graph.Add("small_linear", [row], [row], 8192, () => [], multiplyAdds: 16 * 1024);
        graph.Add("gates", [row], [row], 0, () => []);
        graph.Add("rows_of_small_linear", [row], [row], 8192, () => [], multiplyAdds: 512 * 16 * 1024);
        graph.Add("attention", [row], [row], 0, () => [], bytesPerContextToken: 512);
        graph.Add("swiglu_between_barriers", [row], [row], 0, () => []);
        graph.Add("last_linear", [row], [row], 2 << 20, () => []);
        graph.Add("sample", [row], [row], 0, () => []);

        bool[] isShared = CpuReplayRunner.AreShared(graph.Nodes);

        Assert.That(
            graph.Nodes.Where((_, i) => isShared[i]).Select(n => n.Op),
            Is.EqualTo(new[] { "linear", "rows_of_small_linear", "attention", "swiglu_between_barriers", "last_linear" }));
    }

    private static QwenModel CpuModel(bool gptq)
    {
        QwenModel model = gptq ? TestModels.TinyGptq : TestModels.Tiny;
        if (!model.Device.IsCpu)
            Assert.Ignore("replays are for the CPU");
        return model;
    }

    // Of a prompt in two chunks and of tokens decoded after it.
    private static float[] Logits(QwenModel model, KvType pages, bool replays)
    {
        using var sequences = new SequenceRunner(model, pages, options: new StepRunnerOptions(Graphs: replays));
        return [.. sequences.Prefill(Prompt, chunkTokens: 41), .. sequences.Decode([3, 1, 4, 1, 5], firstPosition: Prompt.Length)];
    }
}
