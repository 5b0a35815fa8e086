using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The commands that report: info, doctor, bench.</summary>
internal sealed class ReportCommandTests
{
    [Test]
    public void InfoCountsParametersAndMemory()
    {
        JsonElement info = CommandLine.Run("info", "--json", "--context", "1000", "--kv-type", "f32").Expect(ExitCode.Done).Json;

        JsonElement parameters = info.GetProperty("parameters");
        long parts = parameters.EnumerateObject().Where(p => p.Name != "total").Sum(p => p.Value.GetInt64());
        Assert.That(parts, Is.EqualTo(parameters.GetProperty("total").GetInt64()));
        JsonElement memory = info.GetProperty("memory");

        // bf16 throughout but for two f32 vectors of six values in six layers.
        Assert.That(memory.GetProperty("weight_bytes_on_disk").GetProperty("total").GetInt64(), Is.EqualTo(2 * parts).Within(2048));

        // 2 layers, 2 heads of 64, keys and values, 4 bytes each.
        Assert.That(memory.GetProperty("cache_bytes_per_token").GetInt64(), Is.EqualTo(2 * 2 * 64 * 2 * 4));
        Assert.That(memory.GetProperty("cache_bytes_at_context").GetInt64(), Is.EqualTo(2 * 2 * 64 * 2 * 4 * 1000));
        Assert.That(info.GetProperty("modules").EnumerateArray().Select(m => m.GetProperty("encoding").GetString()), Is.All.EqualTo("BF16"));
    }

    // The states of all layers, and four rows of every channel before the convolution, these always floats.
    [TestCase("f32", 4)]
    [TestCase("f16", 2)]
    [TestCase("bf16", 2)]
    public void InfoSaysWhatASnapshotTakes(string stateType, int elementBytes)
    {
        JsonElement memory = CommandLine.Run("info", "--json", "--state-type", stateType).Expect(ExitCode.Done).Json.GetProperty("memory");

        QwenConfig config = TestModels.Tiny.Config;
        long states = (long)config.NumLinearAttentionLayers * config.LinearNumValueHeads * config.LinearKeyHeadDim * config.LinearValueHeadDim * elementBytes;
        long tails = (long)config.NumLinearAttentionLayers * config.LinearConvKernelDim * config.LinearConvChannels * sizeof(float);
        Assert.That(memory.GetProperty("delta_state_bytes_per_sequence").GetInt64(), Is.EqualTo(states));
        Assert.That(memory.GetProperty("conv_tail_bytes_per_sequence").GetInt64(), Is.EqualTo(tails));
        Assert.That(memory.GetProperty("snapshot_bytes").GetInt64(), Is.EqualTo(states + tails));
    }

    [Test]
    public void InfoSaysWhatIsQuantizedHow()
    {
        string text = CommandLine.Run("info", "--model", TestData.TinyGptqModel).Expect(ExitCode.Done).Output;

        Assert.That(text, Does.Match(@"mlp\.up_proj +8 +\[512, 256\] +GPTQ INT4, symmetric, groups of 128"));
        Assert.That(text, Does.Match(@"linear_attn\.in_proj_a +6 +\[6, 256\] +BF16"));
        Assert.That(text, Does.Contain("chat template").And.Contain("qwen3.6"));
    }

    [Test]
    public void DoctorNamesDevicesVersionsAndWhyNoGpu()
    {
        JsonElement report = CommandLine.Run("doctor", "--json").Expect(ExitCode.Done).Json;

        Assert.That(report.GetProperty("versions").GetProperty("ilgpu").GetString(), Is.EqualTo("1.5.3"));
        JsonElement cpu = report.GetProperty("devices").EnumerateArray().Last();
        Assert.That((cpu.GetProperty("kind").GetString(), cpu.GetProperty("state").GetString()), Is.EqualTo(("cpu", "works")));
        JsonElement processor = report.GetProperty("cpu");
        Assert.That(processor.GetProperty("threads").GetInt32(), Is.EqualTo(processor.GetProperty("physical_cores").GetInt32()));
        Assert.That(processor.GetProperty("read_gb_per_s").GetDouble(), Is.GreaterThan(0.1));
        Assert.That(processor.GetProperty("int4_models").EnumerateArray().Select(m => m.GetProperty("name").GetString()), Is.EqualTo(new[] { "0.8b", "4b", "9b", "27b" }));
        bool gpu = report.GetProperty("devices").GetArrayLength() > 1;
        Assert.That(report.GetProperty("why_no_gpu").ValueKind, Is.EqualTo(gpu ? JsonValueKind.Null : JsonValueKind.String));
        Assert.That(report.GetProperty("model").GetProperty("runs_on").GetString(), Is.EqualTo(gpu ? "cuda" : "cpu"));
    }

    [Test]
    public void DoctorPrintsText() =>
        Assert.That(CommandLine.Run("doctor").Expect(ExitCode.Done).Output, Does.Contain("read gb per s").And.Contain("dotnet").And.Contain("why no gpu"));

    [Test]
    public void DoctorTakesTheThreadsItIsGiven() =>
        Assert.That(CommandLine.Run("doctor", "--threads", "1", "--json").Expect(ExitCode.Done).Json.GetProperty("cpu").GetProperty("threads").GetInt32(), Is.EqualTo(1));

    [Test]
    public void DoctorOfTheCpuSaysNothingOfGpus()
    {
        JsonElement report = CommandLine.Run("doctor", "--device", "cpu", "--json").Expect(ExitCode.Done).Json;

        Assert.That(report.GetProperty("devices").EnumerateArray().Select(d => d.GetProperty("kind").GetString()), Is.EqualTo(new[] { "cpu" }));
        Assert.That(report.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "versions", "machine", "devices", "cpu", "model" }));
        Assert.That(report.GetProperty("model").GetProperty("runs_on").GetString(), Is.EqualTo("cpu"));
    }

    [Test]
    public void DoctorOfAGpuSaysNothingOfTheCpu()
    {
        CommandLine run = CommandLine.Run("doctor", "--device", "cuda:7", "--json");
        JsonElement report = run.ExitCode == ExitCode.Done ? run.Json : JsonElement.Parse(run.Error).GetProperty("report");

        Assert.That(report.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "versions", "machine", "cuda_driver", "why_no_gpu", "devices", "model" }));
        Assert.That(report.GetProperty("devices").EnumerateArray().Select(d => d.GetProperty("kind").GetString()), Has.All.EqualTo("cuda:7"));
    }

    [Test]
    public void DoctorFailsForADeviceThatIsAskedForAndNotThere()
    {
        if (CudaProbe.Run().Refusal is null)
            Assert.Ignore("there is a CUDA device here");
        Assert.That(CommandLine.Run("doctor", "--device", "cuda").Expect(ExitCode.Failed).Output, Does.Contain("why no gpu"));
    }

    [Test]
    public void ADeviceThatIsNotThereIsRefusedWithItsReason()
    {
        if (CudaProbe.Run().Refusal is not { } refusal)
            Assert.Ignore("there is a CUDA device here");
        else
            Assert.That(CommandLine.Run("generate", "hi", "--device", "cuda").Expect(ExitCode.Failed).Error, Does.Contain(refusal).And.Contain("--device cpu"));
    }

    [Test]
    public void BenchMeasuresPrefillAndDecodeApart()
    {
        JsonElement report = CommandLine.RunModel(
            "bench", "--runs", "5", "--prompt-tokens", "3", "--decode-tokens", "2", "--nodes", "--json").Expect(ExitCode.Done).Json;

        foreach (string phase in (string[])["prefill_tokens_per_second", "decode_tokens_per_second"])
        {
            JsonElement speed = report.GetProperty(phase);
            Assert.That(speed.GetProperty("median").GetDouble(), Is.InRange(speed.GetProperty("min").GetDouble(), speed.GetProperty("max").GetDouble()));
        }

        Assert.That(report.GetProperty("runs").GetInt32(), Is.EqualTo(5));
        Assert.That(report.GetProperty("launches_per_token").GetInt32(), Is.GreaterThan(50));
        Assert.That(report.GetProperty("model").GetString(), Does.EndWith("tiny-qwen3.6"));
        Assert.That(report.GetProperty("device").GetString(), Is.Not.Empty);
        Assert.That(report.GetProperty("commit").GetString(), Is.Not.Empty);
        Assert.That(report.GetProperty("nodes").GetProperty("decode").GetArrayLength(), Is.GreaterThan(50));
    }

    [Test]
    public void BenchPrintsText()
    {
        CommandLine run = CommandLine.RunModel("bench", "--prompt-tokens", "2", "--decode-tokens", "1", "--nodes").Expect(ExitCode.Done);

        Assert.That(run.Error, Does.StartWith("qwen: warming up\nqwen: pass 1 of 5\n").And.Contain("qwen: pass 5 of 5\nqwen: node by node\n"));

        Assert.That(run.Output, Does.Contain("decode tokens per second").And.Contain("launches per token").And.Contain("layers.0.linear_attn"));
    }
}
