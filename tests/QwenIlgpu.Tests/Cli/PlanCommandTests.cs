using System.Text.Json;
using System.Xml.Linq;
using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Plan;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen info --plan`, and that what does not fit is refused before it is loaded.</summary>
internal sealed class PlanCommandTests
{
    private static readonly string[] Long27B =
        ["info", "--plan", "--synthetic", "27b", "--context", "262144", "--sequences", "4", "--kv-type", "int4"];

    // Model-spec §7; the tails are rings of four rows of floats.
    [Test]
    public void FourLongSequencesOf27B()
    {
        JsonElement plan = CommandLine.Run([.. Long27B, "--gpu-memory", "48GiB", "--json"]).Expect(ExitCode.Done).Json;

        long Bytes(string name) => plan.GetProperty(name).GetInt64();
        Assert.That(Bytes("cache_bytes"), Is.EqualTo(4 * 262_144L * 16_896));
        Assert.That(Bytes("recurrent_bytes"), Is.EqualTo(4 * 150_994_944L));
        Assert.That(Bytes("state_bytes"), Is.EqualTo(4 * (150_994_944L + 7_864_320)));
        Assert.That(Bytes("twin_bytes"), Is.EqualTo(4L * 64 << 30));
        double saved = 100 * (1 - ((Bytes("cache_bytes") + Bytes("state_bytes")) / (double)Bytes("twin_bytes")));
        Assert.That(plan.GetProperty("saved_percent").GetDouble(), Is.EqualTo(saved).Within(0.005).And.GreaterThan(93));
        string[] parts = ["weight", "cache", "state", "snapshot", "activation", "graph", "buffer", "driver", "draft_cache"];
        Assert.That(parts.Sum(p => Bytes($"{p}_bytes")), Is.EqualTo(Bytes("total_bytes")));
        Assert.That(Bytes("memory_bytes"), Is.EqualTo(48L << 30));
        Assert.That(plan.GetProperty("fits").GetBoolean(), Is.True);
        Assert.That(Bytes("largest_context_tokens"), Is.EqualTo(262_144));
        Assert.That(
            plan.GetProperty("largest_contexts").EnumerateArray().Select(l => (l.GetProperty("kv_type").GetString(), l.GetProperty("cache_bytes_per_token").GetInt64())),
            Is.EqualTo(new[] { ("bf16", 65_536L), ("f32", 131_072L), ("int8", 33_024L), ("int4", 16_896L), ("k8v4", 24_960L) }));
    }

    [Test]
    public void TheTableTellsWhatDoesNotFit()
    {
        string text = CommandLine.Run([.. Long27B, "--gpu-memory", "24GiB"]).Expect(ExitCode.Done).Output;

        Assert.That(text, Does.Match(@"(?m)^  cache +17,716,740,096 +16\.50 +68\.75$").And.Match("(?m)^fits +no$"));
        Assert.That(text, Does.Match(@"(?m)^  int4 +16,896 +\d\d,\d{3}$"));
    }

    [Test]
    public void OnTheCpuItIsTheHostsMemoryAndTheModelThatIsThere()
    {
        JsonElement plan = CommandLine.Run("info", "--plan", "--device", "cpu", "--kv-type", "f32", "--json").Expect(ExitCode.Done).Json;

        Assert.That(plan.GetProperty("memory_bytes").GetInt64(), Is.InRange(100_000_000L, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes));
        Assert.That(plan.GetProperty("graph_bytes").GetInt64(), Is.Zero);
        Assert.That(plan.GetProperty("cache_bytes").GetInt64(), Is.EqualTo(TestModels.Tiny.Config.KvBytesPerToken(KvType.F32) * 4096));
        Assert.That(plan.GetProperty("largest_context_tokens").GetInt32(), Is.EqualTo(4096));
    }

    [Test]
    public void ThePictureHasABarForEveryPart()
    {
        string file = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"{Guid.NewGuid():N}.svg");
        try
        {
            CommandLine.Run([.. Long27B, "--gpu-memory", "24GiB", "--plan-picture", file]).Expect(ExitCode.Done);

            var svg = XDocument.Load(file);
            XElement[] bars = [.. svg.Descendants().Where(e => (string?)e.Attribute("class") == "part")];
            string[] titles = [.. bars.Select(b => b.Elements().Single(e => e.Name.LocalName == "title").Value)];
            string[] parts = ["weights", "cache", "states", "snapshots", "activations", "graphs", "buffers", "driver", "total"];
            Assert.That(titles.Select(t => t.Split(':')[0]), Is.EqualTo(parts));
            Assert.That(titles[1], Is.EqualTo("cache: 17716740096 bytes"));

            // In proportion: the cache is about as large as the weights, and all of them are as long as the total.
            double[] widths = [.. bars.Select(b => (double)b.Attribute("width")!)];
            Assert.That(widths[1] / widths[0], Is.EqualTo(17_716_740_096 / 17_687_220_224.0).Within(0.002));
            Assert.That(widths[..^1].Sum(), Is.EqualTo(widths[^1]).Within(3), "bars are half a unit wide at least");
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Test]
    public void WhatATitleHoldsIsNoMarkup()
    {
        MemoryPlan plan = new MemoryPlanner(TestModels.Tiny, 1000, new DeviceRoom("a host", 1L << 30)).Plan(
            new EngineOptions { MaxSequences = 1, ContextTokens = 64 }.Resolve(TestModels.Tiny.Config));

        Assert.That(XDocument.Parse(PlanPicture.Draw("a <b> & \"c\"", plan)).Descendants().First(e => e.Name.LocalName == "text").Value, Is.EqualTo("a <b> & \"c\""));
    }

    [TestCase("24GiB", 24L << 30)]
    [TestCase("1.5MiB", 1_572_864)]
    [TestCase("80gb", 80_000_000_000)]
    [TestCase("1B", 1)]
    [TestCase("24", null)]
    [TestCase("0.1B", null)]
    [TestCase("9999999999TiB", null)]
    [TestCase("GiB", null)]
    [TestCase(" 1GiB", null)]
    public void SizesHaveUnits(string text, long? bytes) =>
        Assert.That(SizeOption.TryParse(text, out long parsed) ? parsed : (long?)null, Is.EqualTo(bytes));

    [Test]
    public async Task LoadingRefusesAnEngineThatDoesNotFitBeforeItReadsAWeight()
    {
        var engine = new EngineOptions { CacheTokens = int.MaxValue, KvType = KvType.F32 };
        var options = new ModelOptions { Device = TestModels.Device, RequireRoom = unfilled => MemoryPlanner.RequireRoom(unfilled, engine) };
        var told = new List<LoadProgress>();

        InsufficientMemoryException error = (await Assert.ThrowsAsync<InsufficientMemoryException>(
            async () => await QwenModel.LoadAsync(TestData.TinyModel, options, new Told(told))))!;

        Assert.That(told, Is.Empty);
        Assert.That(error.Message, Does.Match(@"with 4 sequences of up to 4096 tokens and a cache of \d+ tokens in F32 takes \d+ bytes \(weights \d+, cache 4398\d+, states"));
        Assert.That(error.Message, Does.Contain("The largest context of 4 sequences that fits is 4096 tokens"));
    }

    private sealed class Told(List<LoadProgress> list) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => list.Add(value);
    }
}
