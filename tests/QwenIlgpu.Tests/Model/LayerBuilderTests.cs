using ILGPU;
using QwenIlgpu.Cli;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>One list of modules, wherever their weights come from.</summary>
internal sealed class LayerBuilderTests
{
    [Test]
    public void EverySourceGivesTheSameModules()
    {
        using Checkpoint checkpoint = Checkpoint.Open(TestData.TinyModel);
        using ComputeDevice device = ComputeDevice.OpenCpu();
        using var memory = new DeviceMemory(device) { IsMeasuring = true };
        QwenConfig config = checkpoint.Config;
        var stored = new CheckpointWeights(
            checkpoint, device, memory, upload: null, new ModelOptions(), progress: null, CancellationToken.None);
        var synthetic = new SyntheticWeights(device, memory, memory, HeadQuantization.None, seed: 1);

        (string, int, int)[] listed = [.. ModuleInventory.ModulesOf(config).Select(m => (m.Name, m.Rows, m.Columns))];

        Assert.That(listed, Does.Contain(("layers.0.linear_attn.in_proj_qkv", config.LinearConvChannels, config.HiddenSize)));
        Assert.That(Matrices(new LayerBuilder(config, stored).Build()), Is.EqualTo(listed));
        Assert.That(Matrices(new LayerBuilder(config, synthetic).Build()), Is.EqualTo(listed));
    }

    [Test]
    public void AModelReadsEveryTensorOfItsCheckpointOnce()
    {
        using Checkpoint checkpoint = Checkpoint.Open(TestData.TinyModel);
        var names = new Names();

        new LayerBuilder(checkpoint.Config, names).Build();

        Assert.That(names.Asked.Select(n => checkpoint.Find(n)?.Name), Is.EquivalentTo(checkpoint.Tensors.Select(t => t.Name)));
    }

    [TestCase("27b")]
    [TestCase("0.8b")]
    public void ModulesHaveAsManyParametersAsTheShapeCounts(string shape)
    {
        QwenConfig config = SyntheticShape.Of(shape);
        ParameterCounts counts = config.Parameters;

        long matrices = ModuleInventory.ModulesOf(config).Sum(m => (long)m.Rows * m.Columns);

        Assert.That(matrices, Is.EqualTo(counts.Total - counts.Rest));
    }

    private static IEnumerable<(string, int, int)> Matrices(QwenWeights weights)
    {
        LinearWeight[] all =
        [
            weights.EmbedTokens,
            .. weights.Layers.SelectMany(layer => layer.Mixer switch
            {
                GatedAttention a => (LinearWeight[])[a.QProj, a.KProj, a.VProj, a.OProj, .. Mlp(layer)],
                GatedDeltaNet d => [d.InProjQkv, d.InProjZ, d.InProjB, d.InProjA, d.OutProj, .. Mlp(layer)],
                _ => [],
            }),
            .. ReferenceEquals(weights.LmHead, weights.EmbedTokens) ? (LinearWeight[])[] : [weights.LmHead],
        ];
        return all.Select(w => (w.Name, w.Rows, w.Columns));
    }

    private static LinearWeight[] Mlp(QwenLayer layer) =>
        [layer.FeedForward.GateProj, layer.FeedForward.UpProj, layer.FeedForward.DownProj];

    /// <summary>Writes down the tensors that are asked for.</summary>
    private sealed class Names : IWeightSource
    {
        public List<string> Asked { get; } = [];

        public LinearWeight Matrix(MatrixModule module)
        {
            Asked.Add($"{module.Name}.weight");
            return new LinearWeight(module.Name, WeightMatrix.Dense(WeightType.Bf16, module.Rows, module.Columns));
        }

        public ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape)
        {
            Asked.Add(name);
            return default;
        }

        public RotaryView Rotary(QwenConfig config) => default;
    }
}
