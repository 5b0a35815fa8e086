using System.Text.Json;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The repositories that help and README name: what they need is what `qwen info` works out of their tensors.</summary>
[Platform("Linux,MacOsX", Reason = "files without contents would take their whole length elsewhere")]
internal sealed class PublishedModelTests
{
    // Parameters with vision and the layer of multi-token prediction, as published.
    private static readonly Dictionary<string, (int Hidden, int Layers, int Intermediate, int Heads, int KvHeads, int ValueHeads, bool Tied, long Parameters)> Shapes = new()
    {
        ["0.8B"] = (1024, 24, 3584, 8, 2, 16, true, 873_438_784),
        ["2B"] = (2048, 24, 6144, 8, 2, 16, true, 2_274_069_824),
        ["4B"] = (2560, 32, 9216, 16, 4, 32, true, 4_659_865_088),
        ["9B"] = (4096, 32, 12288, 16, 4, 32, false, 9_653_104_368),
        ["27B"] = (5120, 64, 17408, 24, 4, 48, false, 27_781_427_952),
    };

    private static IEnumerable<TestCaseData> Models() => PublishedModels.All.Select(m => new TestCaseData(m).SetArgDisplayNames(m.Repository));

    [TestCaseSource(nameof(Models))]
    public void FiguresAreThoseOfInfo(PublishedModel model)
    {
        var shape = Shapes[model.Repository.Split('-')[1]];
        using var directory = new TemporaryDirectory();
        PublishedCheckpoint.Write(directory, Text(shape), shape.Tied, packsFeedForward: model.Repository.EndsWith("-GPTQ-Int4", StringComparison.Ordinal));

        JsonElement stored = Info(directory.Path);
        JsonElement packed = Info(directory.Path, PublishedModels.Packing.Split(' '));

        long textParameters = stored.GetProperty("parameters").GetProperty("total").GetInt64();
        long textBytes = stored.GetProperty("memory").GetProperty("weight_bytes_on_disk").GetProperty("total").GetInt64();
        var expected = new PublishedModel(
            model.Repository, Gigabytes(textBytes + (2 * (shape.Parameters - textParameters))), NeedOf(stored), NeedOf(packed));
        Assert.That(model, Is.EqualTo(expected));
    }

    [Test]
    public void HelpListsThem()
    {
        string help = string.Join(' ', CommandLine.Run("--help").Expect(ExitCode.Done).Output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries));

        foreach (PublishedModel m in PublishedModels.All)
        {
            Assert.That(help, Does.Contain(
                $" {m.Repository} fetch {m.Download:F1}; GPU {m.AsStored.Gpu:F1}, CPU {m.AsStored.Cpu:F1}; packed {m.Packed.Gpu:F1}, {m.Packed.Cpu:F1} "));
        }

        Assert.That(help, Does.Contain("hf download ").And.Contain(PublishedModels.Packing));
    }

    [Test]
    public void ReadmeListsThem()
    {
        string[] rows =
        [
            .. PublishedModels.All.Select(m =>
                $"| {m.Repository} | {m.Download:F1} | {m.AsStored.Gpu:F1} | {m.AsStored.Cpu:F1} | {m.Packed.Gpu:F1} | {m.Packed.Cpu:F1} |"),
        ];

        Assert.That(ReadmeTests.Readme.Split('\n').Where(l => l.StartsWith("| Qwen/", StringComparison.Ordinal)), Is.EqualTo(rows));
        Assert.That(ReadmeTests.Readme, Does.Contain(PublishedModels.Packing));
    }

    private static JsonElement Info(string directory, params string[] options) =>
        CommandLine.Run(["info", "--json", "--model", directory, .. options]).Expect(ExitCode.Done).Json;

    private static MemoryNeed NeedOf(JsonElement info)
    {
        JsonElement memory = info.GetProperty("memory");
        Assert.That(memory.GetProperty("cache_context_tokens").GetInt32(), Is.EqualTo(32768));
        return new MemoryNeed(
            Gigabytes(memory.GetProperty("gpu_bytes_for_one_sequence").GetInt64()), Gigabytes(memory.GetProperty("cpu_bytes_asked_for").GetInt64()));
    }

    private static double Gigabytes(long bytes) => Math.Round(bytes / 1e9, 1);

    private static JsonObject Text((int Hidden, int Layers, int Intermediate, int Heads, int KvHeads, int ValueHeads, bool Tied, long Parameters) s) => new()
    {
        ["model_type"] = "qwen3_5_text",
        ["vocab_size"] = 248320,
        ["hidden_size"] = s.Hidden,
        ["intermediate_size"] = s.Intermediate,
        ["num_hidden_layers"] = s.Layers,
        ["full_attention_interval"] = 4,
        ["num_attention_heads"] = s.Heads,
        ["num_key_value_heads"] = s.KvHeads,
        ["head_dim"] = 256,
        ["rms_norm_eps"] = 1e-6,
        ["rope_parameters"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = 10000000, ["partial_rotary_factor"] = 0.25 },
        ["linear_num_key_heads"] = 16,
        ["linear_num_value_heads"] = s.ValueHeads,
        ["linear_key_head_dim"] = 128,
        ["linear_value_head_dim"] = 128,
        ["linear_conv_kernel_dim"] = 4,
        ["max_position_embeddings"] = 262144,
    };
}
