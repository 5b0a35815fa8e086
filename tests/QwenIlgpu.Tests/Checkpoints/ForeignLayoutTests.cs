namespace QwenIlgpu.Tests;

/// <summary>Layouts of other engines are refused by what they are.</summary>
internal sealed class ForeignLayoutTests
{
    private const string Layer = "model.language_model.layers.0.";

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("linear_attn.in_proj_qkvz.weight", "in_proj_qkv and in_proj_z are")]
    [TestCase("linear_attn.in_proj_ba.weight", "in_proj_b and in_proj_a are")]
    [TestCase("mlp.gate_up_proj.weight", "gate_proj and up_proj are")]
    [TestCase("mlp.gate_up_proj.qweight", "gate_proj and up_proj are")]
    [TestCase("self_attn.qkv_proj.weight", "q_proj, k_proj and v_proj are")]
    public void RefusesFusedProjections(string name, string separate)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.AddFloats(Layer + name, 8, 8);
        Assert.That(Refusal(draft), Does.Contain($"model.safetensors: holds {Layer}{name}: fused projections").And.Contain(separate).And.Contain("transformers"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void RefusesMlxsQuantisation(bool hasBiases)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Tensors[Layer + "mlp.up_proj.weight"] = DraftTensor.Of(TensorType.U32, CheckpointDraft.Intermediate, CheckpointDraft.Hidden / 8);
        draft.AddFloats(Layer + "mlp.up_proj.scales", CheckpointDraft.Intermediate, 2);
        if (hasBiases)
            draft.AddFloats(Layer + "mlp.up_proj.biases", CheckpointDraft.Intermediate, 2);
        Assert.That(
            Refusal(draft),
            Does.Contain($"holds {Layer}mlp.up_proj.scales beside a weight of U32: MLX's quantisation is not supported").And.EndsWith(WeightFormats.Supported));
    }

    [TestCase(96, 4)]
    [TestCase(96, 4, 1)]
    public void RefusesAConvolutionLaidOtherwise(params int[] shape)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.AddFloats(Layer + "linear_attn.conv1d.weight", [.. shape.Select(n => (long)n)]);
        Assert.That(Refusal(draft), Does.Contain($"conv1d.weight is [{string.Join(", ", shape)}]: the convolution as MLX").And.Contain("[channels, 1, taps] is"));
    }

    // What is skipped may be laid as it likes; experts of a mixture are fused by nature.
    [Test]
    public void TakesTheTextModelsOwn()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.AddFloats(Layer + "linear_attn.conv1d.weight", 96, 1, 4);
        draft.AddFloats("mtp.layers.0.self_attn.qkv_proj.weight", 8, 8);
        draft.AddFloats("model.visual.blocks.0.attn.qkv_proj.weight", 8, 8);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That((checkpoint.MtpTensors, checkpoint.MtpBytes), Is.EqualTo((2, 2L * ((128 * 256) + 64))));

        CheckpointDraft.WithExperts(packed: false).Write(directory);
        using Checkpoint experts = Checkpoint.Open(directory.Path);
        Assert.That(experts.Config.Experts, Is.Not.Null);
    }

    private string Refusal(CheckpointDraft draft)
    {
        draft.Write(directory);
        return Assert.Throws<NotSupportedException>(() => Checkpoint.Open(directory.Path).Dispose())!.Message;
    }
}
