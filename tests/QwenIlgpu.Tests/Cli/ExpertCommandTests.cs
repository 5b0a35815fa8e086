using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>A mixture of experts is described, and refused by whatever loads it.</summary>
internal sealed class ExpertCommandTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    // Bytes of all experts: 16 bits a weight, or codes, zero points, scales and g_idx of 12 modules.
    [TestCase(false, "gate_up_proj", 4, 128, 128, "BF16, experts in one tensor", 4 * 128 * 128 * 2)]
    [TestCase(true, "*.gate_proj", 4, 64, 128, "GPTQ INT4, symmetric, groups of 128, scales F16", 4 * ((64 * 128 / 2) + (64 / 2) + (64 * 2) + (128 * 4)))]
    public void InfoListsExperts(bool packed, string module, int count, int rows, int columns, string encoding, int bytes)
    {
        CheckpointDraft.WithExperts(packed).Write(directory);

        JsonElement info = CommandLine.Run("info", "--model", directory.Path, "--json").Expect(ExitCode.Done).Json;

        JsonElement experts = info.GetProperty("config").GetProperty("experts");
        Assert.That((experts.GetProperty("count").GetInt32(), experts.GetProperty("per_token").GetInt32()), Is.EqualTo((4, 2)));
        Assert.That(experts.GetProperty("state").GetString(), Does.Contain("cannot be loaded yet"));
        JsonElement[] modules = [.. info.GetProperty("modules").EnumerateArray()];
        JsonElement listed = modules.Single(m => m.GetProperty("module").GetString() == $"mlp.experts.{module}");
        Assert.That(listed.GetProperty("count").GetInt32(), Is.EqualTo(count));
        Assert.That(listed.GetProperty("shape").EnumerateArray().Select(n => n.GetInt32()), Is.EqualTo(new[] { rows, columns }));
        Assert.That((listed.GetProperty("encoding").GetString(), listed.GetProperty("bytes").GetInt32()), Is.EqualTo((encoding, bytes)));
        Assert.That(modules.Select(m => m.GetProperty("module").GetString()), Has.One.EqualTo("mlp.shared_expert_gate").And.None.EqualTo("mlp.gate_proj"));
        JsonElement memory = info.GetProperty("memory");
        Assert.That(memory.GetProperty("weight_bytes_loaded").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(memory.GetProperty("weight_bytes_on_disk").GetProperty("rest").GetInt64(), Is.EqualTo(2 * CheckpointDraft.Hidden), "the final norm");
        JsonElement mtp = info.GetProperty("mtp");
        Assert.That((mtp.GetProperty("tensors").GetInt32(), mtp.GetProperty("state").GetString()), Is.EqualTo((1, "not loaded yet")));

        string text = CommandLine.Run("info", "--model", directory.Path).Expect(ExitCode.Done).Output;
        Assert.That(text, Does.Contain("a mixture of experts: cannot be loaded yet").And.Contain($"mlp.experts.{module}"));
    }

    [TestCase("generate", "hi")]
    [TestCase("chat")]
    [TestCase("bench")]
    [TestCase("perplexity", "-")]
    [TestCase("logits", "--input", "-", "--output", "out.safetensors")]
    public void WhatLoadsRefuses(params string[] command)
    {
        CheckpointDraft.WithExperts(packed: true).Write(directory);
        string[] args = [.. command.Select(a => a == "out.safetensors" ? directory.File(a) : a), "--model", directory.Path, .. CommandLine.Device];

        CommandLine run = CommandLine.RunWithInput(command[0] == "logits" ? "[]" : "some text", args).Expect(ExitCode.Failed);

        Assert.That(run.Error, Does.Contain(
            $"{directory.Path}: is a mixture of experts, 4 of which a token takes 2; `qwen info` describes it, but it cannot be loaded yet"));
    }
}
