using System.Buffers.Binary;
using System.Text.Json.Nodes;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests;

/// <summary>NaN and infinity are never a mask: whatever reads logits says that the model is broken, and of the others' logits nothing matters.</summary>
[NonParallelizable]
internal sealed class NonFiniteLogitsTests
{
    private const int Width = 256;
    private const int BytesPerRow = Width * 2;
    private const string Head = "lm_head.weight";
    private const string Embedding = "model.language_model.embed_tokens.weight";
    private const ushort NaN = 0x7fc0;
    private const ushort Infinity = 0x7f80;

    private static readonly int[] Prompt = TestModels.Tiny.Tokenize(
        "<|im_start|>user\nWhat is the capital of Norway?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", parseSpecial: true);

    private static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    [TestCase(NaN, "NaN")]
    [TestCase(Infinity, "Infinity")]
    public async Task AHeadThatHoldsOneIsNamedByWhateverReadsItsLogits(int bits, string value)
    {
        using var copy = new TinyCopy();
        BinaryPrimitives.WriteUInt16LittleEndian(copy.BytesOf(Head).AsSpan((7 * BytesPerRow) + (3 * 2)), (ushort)bits);
        copy.Save();
        string cause = $"tensor lm_head.weight in model.safetensors holds {value} at [7, 3]";
        string text = Path.Combine(copy.Path, "text.txt");
        string logits = Path.Combine(copy.Path, "logits.safetensors");
        await File.WriteAllTextAsync(text, "Once upon a time there was a fox.");
        await using (QwenModel model = TestModels.Load(copy.Path))
        {
            await using var engine = new Engine(model);
            foreach (SamplingOptions sampling in new[] { Greedy, Greedy with { TopLogProbs = 3 }, new SamplingOptions { Temperature = 1, TopK = 20 }, Greedy with { AllowedTokenIds = [1, 2] } })
            {
                Assert.That(
                    async () => await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = sampling }).IdsAsync(),
                    Throws.TypeOf<InvalidDataException>().With.Message.Contains("non-finite").And.Message.Contains($"after {Prompt.Length} tokens").And.Message.Contains(cause));
            }

            Assert.That(
                async () => await engine.ScoreAsync(Prompt),
                Throws.TypeOf<InvalidDataException>().With.Message.Contains("after 1 tokens").And.Message.Contains(cause));
        }

        foreach (string[] args in new[]
        {
            ["generate", "Hello.", "--greedy"], ["perplexity", text], new[] { "logits", "--input", "-", "--output", logits },
        })
        {
            Cli.CommandLine run = Cli.CommandLine.RunWithInput("""[{"ids": [1, 2, 3]}]""", [.. args, "--model", copy.Path, .. Cli.CommandLine.Device]);

            Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Failed), run.Error);
            Assert.That(run.Error, Does.Contain("non-finite").And.Contain(cause).And.Not.Contain("unexpected"));
        }

        Assert.That(File.Exists(logits), Is.False);
    }

    // The engine goes on: what was wrong for one request may be right for the next.
    [Test]
    public async Task NonFiniteLogitsOfASoundCheckpointEndTheRequestAndNotTheEngine()
    {
        await using QwenModel model = TestModels.Load(TestData.TinyModel);
        ArrayView<byte> head = model.Weights.LmHead.Matrix.Data.Cast<byte>();
        byte[] row = new byte[BytesPerRow];
        head.SubView(7 * BytesPerRow, BytesPerRow).CopyToCPU(model.Device.Stream, row);
        await using var engine = new Engine(model);
        int[] expected = await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync();

        Write([.. Enumerable.Repeat((byte)0xff, BytesPerRow)]);
        Assert.That(
            async () => await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync(),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("no tensor of the checkpoint holds a non-finite value"));
        Write(row);

        Assert.That(await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync(), Is.EqualTo(expected));

        void Write(byte[] bytes)
        {
            head.SubView(7 * BytesPerRow, BytesPerRow).CopyFromCPU(model.Device.Stream, bytes);
            model.Device.Synchronize();
        }
    }

    // What the broken request left in pages and states, which the next one takes over, is behind every key that it may read.
    [Test]
    public async Task ATokenWhoseEmbeddingIsBrokenBreaksOnlyTheRequestsThatHoldIt()
    {
        using var copy = new TinyCopy();
        copy.BytesOf(Embedding).AsSpan(777 * BytesPerRow, BytesPerRow).Fill(0xff);
        copy.Save();
        await using QwenModel model = TestModels.Load(copy.Path);
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 1, ContextTokens = 256 });
        int[] expected = await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync();

        Assert.That(
            async () => await engine.GenerateAsync(Enumerable.Repeat(777, 130).ToArray(), new GenerationOptions { Sampling = Greedy }).IdsAsync(),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("embed_tokens.weight in model.safetensors holds NaN at [777, 0]"));

        Assert.That(await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync(), Is.EqualTo(expected));
    }

    // 52 ids in the middle and 11 behind the last that no token has, likelier than every other or broken.
    [TestCase(4f)]
    [TestCase(float.NaN)]
    [TestCase(float.NegativeInfinity)]
    public async Task WhatIdsWithoutATokenHaveChangesNothing(float factor)
    {
        using var copy = new TinyCopy();
        byte[] likely = copy.BytesOf(Head)[(283 * BytesPerRow)..(284 * BytesPerRow)];
        byte[] row = [.. Enumerable.Range(0, Width).SelectMany(i =>
            BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(factor * BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(likely, i * 2) << 16)) >> 16)))];
        copy.AddRows(Head, 64, row);
        copy.AddRows(Embedding, 64, row);
        foreach (string tensor in new[] { Head, Embedding })
            copy.BytesOf(tensor).AsSpan(2100 * BytesPerRow, BytesPerRow).Clear();
        copy.Save();
        copy.Edit("config.json", json => json["text_config"]!["vocab_size"] = 2112);
        copy.Edit("tokenizer.json", json => json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 2100, ["content"] = "<extra>", ["special"] = true }));
        await using QwenModel model = TestModels.Load(copy.Path);
        await using var engine = new Engine(model);
        await using var plain = new Engine(TestModels.Tiny);
        var sampled = new GenerationOptions { MaxTokens = 20, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 1.2f, Seed = 3, TopLogProbs = 20 } };

        Assert.That(
            await engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync(),
            Is.EqualTo(await plain.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }).IdsAsync()));
        Assert.That(await engine.GenerateAsync(Prompt, sampled).IdsAsync(), Has.All.LessThan(2048).Or.EqualTo(2100));
        Assert.That(await engine.ScoreAsync(Prompt), Is.EqualTo(await plain.ScoreAsync(Prompt)).Within(1e-4), "one more token of logit 0 has next to no probability");

        Assert.That(() => engine.GenerateAsync(new[] { 5, 2048 }), Throws.ArgumentException.With.Message.Contains("prompt id 2048 at index 1 is no token: ids are 0 to 2100, 52 of them without a token"));
        Assert.That(
            () => engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy with { AllowedTokenIds = [2099] } }),
            Throws.InstanceOf<ArgumentException>().With.Message.Contains("AllowedTokenIds names token 2099; no token has this id"));
        await engine.GenerateAsync(new[] { 5, 2100 }, sampled).IdsAsync();
    }
}
