using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

internal sealed class QwenConfigTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("qwen3_5")]
    [TestCase("qwen3_5_text")]
    public void ReadsCompositeAndTextOnly(string modelType)
    {
        CheckpointDraft draft = new();
        draft.Root["model_type"] = modelType;

        QwenConfig config = Load(draft);

        Assert.That((config.VocabSize, config.HiddenSize, config.IntermediateSize, config.NumHiddenLayers), Is.EqualTo((32, 128, 256, 4)));
        Assert.That((config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim, config.RotaryDim), Is.EqualTo((4, 2, 16, 4)));
        Assert.That((config.RopeTheta, config.RmsNormEps, config.MaxPositionEmbeddings), Is.EqualTo((1e7, 1e-6, 512)));
        Assert.That((config.LinearNumKeyHeads, config.LinearNumValueHeads), Is.EqualTo((2, 4)));
        Assert.That((config.LinearKeyHeadDim, config.LinearValueHeadDim), Is.EqualTo((8, 16)));
        Assert.That((config.LinearConvKernelDim, config.LinearConvChannels, config.TieWordEmbeddings), Is.EqualTo((4, 96, false)));
        Assert.That(config.LayerTypes, Is.EqualTo(new[]
        {
            LayerType.LinearAttention, LayerType.LinearAttention, LayerType.LinearAttention, LayerType.FullAttention,
        }));
    }

    [Test]
    public void DerivesLayersFromInterval()
    {
        CheckpointDraft draft = new();
        draft.Text.Remove("layer_types");
        draft.Text["full_attention_interval"] = 2;
        draft.Text["num_hidden_layers"] = 5;
        bool[] isFull = [.. Load(draft).LayerTypes.Select(static type => type == LayerType.FullAttention)];
        Assert.That(isFull, Is.EqualTo(new[] { false, true, false, true, false }));
    }

    // What every model of the family has is left out by some writers.
    [Test]
    public void FillsInWhatTheFamilyHasInCommon()
    {
        CheckpointDraft draft = new();
        draft.Text.Remove("layer_types");
        draft.Text["rope_parameters"] = new JsonObject { ["rope_theta"] = 10000000 };
        QwenConfig config = Load(draft);
        Assert.That(config.RotaryDim, Is.EqualTo(config.HeadDim / 4));
        Assert.That(config.LayerTypes.Select(static type => type == LayerType.FullAttention), Is.EqualTo(new[] { false, false, false, true }));
    }

    [Test]
    public void PositionsOfImagesChangeNothingForText()
    {
        CheckpointDraft draft = new();
        draft.Text.Remove("rope_parameters");
        draft.Text["rope_theta"] = 5e5;
        draft.Text["rope_scaling"] = new JsonObject { ["type"] = "mrope", ["rope_type"] = "default", ["mrope_section"] = new JsonArray(2, 1, 1) };
        QwenConfig config = Load(draft);
        Assert.That((config.RopeTheta, config.RotaryDim), Is.EqualTo((5e5, 4)));
    }

    [Test]
    public void ReadsOlderRotaryKeys()
    {
        CheckpointDraft draft = new();
        draft.Text.Remove("rope_parameters");
        draft.Text["rope_theta"] = 5e5;
        draft.Text["partial_rotary_factor"] = 0.5;
        draft.Text["rope_scaling"] = null;
        QwenConfig config = Load(draft);
        Assert.That((config.RopeTheta, config.RotaryDim), Is.EqualTo((5e5, 8)));
    }

    [TestCase(true, null, true)]
    [TestCase(null, true, true)]
    [TestCase(false, true, false)]
    [TestCase(null, null, false)]
    public void TopLevelDecidesWhetherTheHeadIsTied(bool? top, bool? text, bool tied)
    {
        CheckpointDraft draft = new();
        draft.Root["tie_word_embeddings"] = top;
        draft.Text["tie_word_embeddings"] = text;
        Assert.That(Load(draft).TieWordEmbeddings, Is.EqualTo(tied));
    }

    // Published sizes of the 27B and the 0.8B model (text part).
    [Test]
    public void CountsParametersAndState()
    {
        QwenConfig large = Published(5120, 64, 17408, 24, 4, 16, 48, tied: false);
        ParameterCounts counts = large.Parameters;
        Assert.That(large.CountParameters(), Is.EqualTo(26_895_998_464));
        Assert.That((counts.FeedForward, counts.DeltaNet), Is.EqualTo((17_112_760_320L, 5_536_481_280L + 23_592_960)));
        Assert.That((counts.Attention, counts.Embedding), Is.EqualTo((1_677_721_600L, 1_271_398_400L)));
        Assert.That((counts.LmHead, counts.Rest), Is.EqualTo((1_271_398_400L, 2_645_504L)));
        Assert.That((large.KvBytesPerToken(KvType.Bf16), large.RecurrentBytesPerSequence(4)), Is.EqualTo((65_536L, 144L << 20)));
        Assert.That((large.RecurrentBytesPerSequence(4), large.RecurrentBytesPerSequence(2)), Is.EqualTo((150_994_944L, 75_497_472L)));
        Assert.That(large.StateBytesPerSequence(4), Is.EqualTo((144L << 20) + (48L * 4 * 10240 * 4)));

        QwenConfig small = Published(1024, 24, 3584, 8, 2, 16, 16, tied: true);
        Assert.That((small.KvBytesPerToken(KvType.Bf16), small.RecurrentBytesPerSequence(4)), Is.EqualTo((12_288L, 18L << 20)));
        Assert.That(small.Parameters.LmHead, Is.Zero);
    }

    [TestCase("model_type", "\"llama\"", "model_type is \"llama\", which is not supported")]
    [TestCase("model_type", "\"qwen3_next\"", "model_type is \"qwen3_next\", which is not supported; supported: qwen3_5 (with text_config) and qwen3_5_text")]
    [TestCase("model_type", "\"qwen4exp\"", "model_type is \"qwen4exp\", which is not supported")]
    [TestCase("model_type", "\"qwen3_5_moe\"", "text_config.model_type is \"qwen3_5_text\", which is not supported; supported: qwen3_5_moe_text inside qwen3_5_moe")]
    public void RejectsOtherModelsByName(string key, string value, string fault)
    {
        CheckpointDraft draft = new();
        draft.Root[key] = JsonNode.Parse(value);
        Rejects<NotSupportedException>(draft, fault);
    }

    [TestCase("model_type", "\"qwen3_5_moe_text\"")]
    [TestCase("hidden_act", "\"gelu\"")]
    [TestCase("attention_bias", "true")]
    [TestCase("attn_output_gate", "false")]
    [TestCase("output_gate_type", "\"sigmoid\"")]
    public void RejectsVariantsByName(string key, string value)
    {
        CheckpointDraft draft = new();
        draft.Text[key] = JsonNode.Parse(value);
        Rejects<NotSupportedException>(draft, $"text_config.{key} is {value}, which is not supported");
    }

    [TestCase("qwen3_5_moe")]
    [TestCase("qwen3_5_moe_text")]
    public void ReadsAMixtureOfExperts(string modelType)
    {
        CheckpointDraft draft = CheckpointDraft.WithExperts(packed: false);
        draft.Root["model_type"] = modelType;
        QwenConfig config = Load(draft);
        Assert.That((config.Experts, config.IntermediateSize), Is.EqualTo((new MixtureOfExperts(4, 2, 40), 64)));
        Assert.That(config.Parameters.FeedForward, Is.EqualTo((4 * 3 * 64 * 128) + (3 * 40 * 128) + (5 * 128)));

        draft.Text["num_experts_per_tok"] = 5;
        Rejects<InvalidDataException>(draft, "num_experts_per_tok is 5, must be a whole number from 1 to 4");
        draft.Text["num_experts_per_tok"] = 4;
        draft.Text["mlp_only_layers"] = new JsonArray(0);
        Rejects<NotSupportedException>(draft, "mlp_only_layers is [0], which is not supported; supported: []");
        draft.Text["mlp_only_layers"] = new JsonArray();
        draft.Text["num_experts"] = 4096;
        draft.Text["moe_intermediate_size"] = 8192;
        Rejects<InvalidDataException>(draft, "num_experts · moe_intermediate_size is 33554432, must be at most 16777216");
    }

    // As published: 35B-A3B.
    [Test]
    public void CountsTheParametersOfAMixture()
    {
        QwenConfig config = Published(2048, 40, 512, 16, 2, 16, 32, tied: false) with { Experts = new MixtureOfExperts(256, 8, 512) };
        Assert.That(config.CountParameters(), Is.EqualTo(34_660_610_688));
    }

    [TestCase("rope_parameters", "rope_type", "llama3")]
    [TestCase("rope_scaling", "type", "linear")]
    public void RejectsOtherScalings(string section, string key, string value)
    {
        CheckpointDraft draft = new();
        JsonObject rope = (JsonObject)draft.Text["rope_parameters"]!.DeepClone();
        rope[key] = value;
        draft.Text[section] = rope;
        Rejects<NotSupportedException>(draft, $"text_config.{section}.{key} is \"{value}\"");
    }

    [Test]
    public void RejectsUnknownLayerType()
    {
        CheckpointDraft draft = new();
        draft.Text["layer_types"]![2] = "sliding_attention";
        Rejects<NotSupportedException>(draft, "text_config.layer_types holds \"sliding_attention\"");
    }

    [TestCase("hidden_size", "0", "text_config.hidden_size is 0, must be a whole number from 1 to")]
    [TestCase("hidden_size", "-128", "text_config.hidden_size is -128, must be")]
    [TestCase("hidden_size", "128.5", "text_config.hidden_size is 128.5, must be")]
    [TestCase("hidden_size", "\"128\"", "text_config.hidden_size is \"128\", must be")]
    [TestCase("hidden_size", "99999999999999999999", "text_config.hidden_size is 99999999999999999999, must be")]
    [TestCase("hidden_size", "2000000000", "text_config.hidden_size is 2000000000, must be")]
    [TestCase("hidden_size", "null", "text_config.hidden_size is missing")]
    [TestCase("num_hidden_layers", "3", "text_config.layer_types lists 4 layers, num_hidden_layers is 3")]
    [TestCase("num_hidden_layers", "2000000000", "text_config.num_hidden_layers is 2000000000, must be")]
    [TestCase("layer_types", "[1]", "text_config.layer_types is [1], must be an array of strings")]
    [TestCase("num_key_value_heads", "3", "text_config.num_attention_heads is 4, must be a multiple of num_key_value_heads, 3")]
    [TestCase("linear_num_value_heads", "3", "text_config.linear_num_value_heads is 3, must be a multiple of linear_num_key_heads, 2")]
    [TestCase("num_attention_heads", "65536", "num_attention_heads · head_dim is 268435456, must be", 4096)]
    [TestCase("rms_norm_eps", "0", "text_config.rms_norm_eps is 0, must be from 1e-12 to 1")]
    [TestCase("rms_norm_eps", "1e999", "text_config.rms_norm_eps is 1e999, must be a finite number")]
    [TestCase("rope_theta", "5", "text_config.rope_theta is 5, but text_config.rope_parameters.rope_theta is 10000000")]
    [TestCase("head_dim", "20", "partial_rotary_factor 0.25 rotates 5 of head_dim 20")]
    [TestCase("rope_parameters", "{}", "text_config.rope_parameters.rope_theta is missing")]
    [TestCase("rope_parameters", "{\"rope_theta\":1e7,\"partial_rotary_factor\":1.5}", "partial_rotary_factor is 1.5, must be above")]
    [TestCase("rope_parameters", "{\"rope_theta\":-1,\"partial_rotary_factor\":0.5}", "rope_theta is -1, must be above 1")]
    [TestCase("rope_parameters", "[]", "text_config.rope_parameters is [], must be an object")]
    [TestCase("attention_bias", "0", "text_config.attention_bias is 0, must be true or false")]
    public void RejectsBadValues(string key, string value, string fault, int headDim = 16)
    {
        CheckpointDraft draft = new();
        draft.Text["head_dim"] = headDim;
        draft.Text[key] = JsonNode.Parse(value);
        Rejects<InvalidDataException>(draft, fault);
    }

    [TestCase("", "not valid JSON")]
    [TestCase("{", "not valid JSON")]
    [TestCase("{}{}", "not valid JSON")]
    [TestCase("[]", "an object is expected")]
    [TestCase("{}", "model_type is missing")]
    [TestCase("{\"model_type\":\"qwen3_5\"}", "text_config is missing")]
    [TestCase("{\"model_type\":\"qwen3_5\",\"text_config\":3}", "text_config is 3, must be an object")]
    [TestCase("{\"\\ud800\":1}", "half a character")]
    public void RejectsBadJson(string json, string fault)
    {
        string file = directory.File("config.json");
        File.WriteAllText(file, json);
        Assert.That(Assert.Throws<InvalidDataException>(() => QwenConfig.Load(file))!.Message, Does.StartWith(file).And.Contains(fault));
    }

    [Test]
    public void RejectsHugeFile()
    {
        string file = directory.File("config.json");
        File.WriteAllBytes(file, new byte[(2 << 20) + 1]);
        string message = Assert.Throws<InvalidDataException>(() => QwenConfig.Load(file))!.Message;
        Assert.That(message, Does.Contain("is 2097153 bytes long, at most 2097152"));
    }

    private void Rejects<TError>(CheckpointDraft draft, string fault)
        where TError : Exception
    {
        string message = Assert.Throws<TError>(() => Load(draft))!.Message;
        Assert.That(message, Does.StartWith(directory.File("config.json")).And.Contains(fault));
    }

    private QwenConfig Load(CheckpointDraft draft)
    {
        draft.WriteConfig(directory);
        return QwenConfig.Load(directory.File("config.json"));
    }

    private static QwenConfig Published(
        int hidden, int layers, int intermediate, int heads, int kvHeads, int keyHeads, int valueHeads, bool tied) => new()
    {
        VocabSize = 248320,
        HiddenSize = hidden,
        IntermediateSize = intermediate,
        LayerTypes = [.. Enumerable.Range(1, layers).Select(static n => n % 4 == 0 ? LayerType.FullAttention : LayerType.LinearAttention)],
        NumAttentionHeads = heads,
        NumKeyValueHeads = kvHeads,
        HeadDim = 256,
        RotaryDim = 64,
        RopeTheta = 1e7,
        RmsNormEps = 1e-6,
        LinearNumKeyHeads = keyHeads,
        LinearNumValueHeads = valueHeads,
        LinearKeyHeadDim = 128,
        LinearValueHeadDim = 128,
        LinearConvKernelDim = 4,
        MaxPositionEmbeddings = 262144,
        TieWordEmbeddings = tied,
    };
}
