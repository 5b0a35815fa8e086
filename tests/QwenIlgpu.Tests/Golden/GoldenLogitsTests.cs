using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>Logits and greedy continuations of the tiny model against an independent float64 implementation.</summary>
[NonParallelizable]
internal sealed class GoldenLogitsTests
{
    // f32 activations and pages against float64: the bound that the project promises. Measured on the CPU accelerator: 2.6e-5.
    private const double F32Bound = 2e-3;

    // bf16 keys and values carry a relative error of 2^-9 into two attention layers. Measured on these prompts: 1.9e-2.
    private const double Bf16PagesBound = 4e-2;

    // Of the states that are left after 64 tokens of a prompt f16 keeps 11 bits and bf16 8, an eighth of the precision. Measured: 8.1e-4 and
    // 5.3e-3.
    private const double F16StatesBound = 2e-3;
    private const double Bf16StatesBound = 8 * F16StatesBound;

    [TestCase("tiny-qwen3.6", TestName = "LogitsMatchGolden(bf16)")]
    [TestCase("tiny-qwen3.6-gptq-int4", TestName = "LogitsMatchGolden(gptq-int4)")]
    public void LogitsMatchGolden(string checkpoint)
    {
        double worst = WorstLogitError(checkpoint, KvType.F32);
        TestContext.Out.WriteLine($"{checkpoint}: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(F32Bound));
    }

    [Test]
    public void Bf16PagesStayWithinTheirBound()
    {
        double worst = WorstLogitError("tiny-qwen3.6", KvType.Bf16);
        TestContext.Out.WriteLine($"bf16 pages: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.InRange(F32Bound, Bf16PagesBound), "below the f32 bound the pages would not have been bf16");
    }

    [TestCase(DeltaStateType.F16, F16StatesBound)]
    [TestCase(DeltaStateType.Bf16, Bf16StatesBound)]
    public void StatesOf16BitsStayWithinTheirBound(DeltaStateType stateType, double bound)
    {
        double worst = WorstLogitError("tiny-qwen3.6", KvType.F32, stateType);
        TestContext.Out.WriteLine($"{stateType} states: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.InRange(bound / 20, bound), "far below its bound a state would not have been of this type");
    }

    // 64 tokens drawn after each prompt, with a state that was rounded for every one before it: what is off stays below what lies between
    // the two largest logits.
    [TestCase(DeltaStateType.F16, Category = "Exhaustive")]
    [TestCase(DeltaStateType.Bf16)]
    public async Task GreedyContinuationsWithStatesOf16Bits(DeltaStateType stateType)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { KvType = KvType.F32, DeltaStateType = stateType });
        var options = new GenerationOptions { MaxTokens = 64, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0 } };

        int[][] drawn = await Task.WhenAll(golden.Prompts.Select(p => engine.GenerateAsync(p.Ids, options).IdsAsync()));

        int[] same = [.. drawn.Select((ids, i) => ids.Zip(golden.Prompts[i].Greedy).TakeWhile(p => p.First == p.Second).Count())];
        TestContext.Out.WriteLine($"{stateType}: the first {string.Join(", ", same)} of 64 tokens are those of f32");
        Assert.That(same, Is.All.EqualTo(64));
    }

    [TestCase("tiny-qwen3.6")]
    [TestCase("tiny-qwen3.6-gptq-int4")]
    public async Task GreedyContinuationsAreIdentical(string checkpoint)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        await using var engine = new Engine(ModelOf(checkpoint), new EngineOptions { KvType = KvType.F32 });
        var options = new GenerationOptions { MaxTokens = 64, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0 } };

        int[][] drawn = await Task.WhenAll(golden.Prompts.Select(p => engine.GenerateAsync(p.Ids, options).IdsAsync()));

        for (int i = 0; i < drawn.Length; i++)
            Assert.That(drawn[i], Is.EqualTo(golden.Prompts[i].Greedy), $"prompt {i}");
    }

    [Test]
    public void IntermediateStatesMatchGolden()
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        QwenModel model = TestModels.Tiny;
        using var sequences = new SequenceRunner(model, options: new StepRunnerOptions(KeepsResiduals: true));
        int[] ids = golden.Prompts[0].Ids;
        BoundStep step = sequences.Runner.Run(StepKind.Prefill, [new StepSequence(1, 0, ids, LogitsWanted.Last)], samples: false);

        for (int layer = 0; layer <= model.Config.NumHiddenLayers; layer++)
            AssertClose(sequences.Runner.Read(step.Recorded.Residuals[layer]), golden.Floats($"0.hidden.{layer}"), $"hidden {layer}");
        for (int layer = 0; layer < model.Config.NumHiddenLayers; layer++)
        {
            if (model.Config.LayerTypes[layer] == LayerType.LinearAttention)
                AssertDeltaState(sequences, golden, layer);
            else
                AssertKeysAndValues(sequences, golden, layer, ids.Length);
        }
    }

    public static QwenModel ModelOf(string checkpoint) => checkpoint == "tiny-qwen3.6" ? TestModels.Tiny : TestModels.TinyGptq;

    private static double WorstLogitError(string checkpoint, KvType kvType, DeltaStateType stateType = DeltaStateType.F32)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        using var sequences = new SequenceRunner(ModelOf(checkpoint), kvType, stateType: stateType);
        double worst = 0;
        for (int p = 0; p < golden.Prompts.Count; p++)
        {
            float[] logits = sequences.Prefill(golden.Prompts[p].Ids);
            worst = Math.Max(worst, WorstOfPrompt(golden, p, logits, sequences));
        }

        return worst;
    }

    // Every logit where the golden data hold them all; else the 20 largest and the log-sum-exp of every position, and all of the last.
    private static double WorstOfPrompt(GoldenData golden, int prompt, float[] logits, SequenceRunner sequences)
    {
        int rows = golden.Prompts[prompt].Ids.Length;
        double worst = Largest(sequences.Row(logits, rows - 1), golden.Floats($"{prompt}.last_logits"));
        if (golden.Has($"{prompt}.logits"))
            return Math.Max(worst, Largest(logits, golden.Floats($"{prompt}.logits")));

        int[] topIds = golden.Ints($"{prompt}.top20_ids");
        float[] top = golden.Floats($"{prompt}.top20_logits");
        float[] logSumExp = golden.Floats($"{prompt}.logsumexp");
        for (int row = 0; row < rows; row++)
        {
            float[] values = sequences.Row(logits, row);
            for (int i = 0; i < 20; i++)
                worst = Math.Max(worst, Math.Abs(values[topIds[(row * 20) + i]] - top[(row * 20) + i]));
            double largest = values.Max();
            worst = Math.Max(worst, Math.Abs(largest + Math.Log(values.Sum(v => Math.Exp(v - largest))) - logSumExp[row]));
        }

        return worst;
    }

    private static double Largest(float[] actual, float[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        Assert.That(actual, Has.None.NaN);
        return actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
    }

    private static void AssertDeltaState(SequenceRunner sequences, GoldenData golden, int layer)
    {
        QwenConfig config = TestModels.Tiny.Config;
        DeltaSlots slots = sequences.Runner.State.DeltaLayers[layer]!;
        AssertClose(LastRows(slots, golden.Prompts[0].Ids.Length, config), golden.Floats($"0.layer{layer}.conv"), $"layer {layer} conv tail");

        // Ours: [Hv, Dv, Dk]; golden: [Hv, Dk, Dv].
        float[] ours = Download(slots.States.Slot<float>(1));
        int dk = config.LinearKeyHeadDim;
        int dv = config.LinearValueHeadDim;
        float[] reordered = [.. Enumerable.Range(0, ours.Length).Select(i => ours[(i / (dk * dv) * dk * dv) + (i % dv * dk) + (i / dv % dk)])];
        AssertClose(reordered, golden.Floats($"0.layer{layer}.state"), $"layer {layer} state");
    }

    // The golden tail: kernel − 1 rows, oldest first. Ours: a ring, indexed by position.
    private static float[] LastRows(DeltaSlots slots, int tokens, QwenConfig config)
    {
        float[] ring = Download(slots.Ring.Row(1));
        int channels = config.LinearConvChannels;
        int ringRows = ring.Length / channels;
        return [.. Enumerable.Range(tokens - config.LinearConvKernelDim + 1, config.LinearConvKernelDim - 1)
            .SelectMany(position => ring.Skip(position % ringRows * channels).Take(channels))];
    }

    private static void AssertKeysAndValues(SequenceRunner sequences, GoldenData golden, int layer, int tokens)
    {
        QwenConfig config = TestModels.Tiny.Config;
        KvPages<F32PageFormat, F32PageFormat> pages = ((LayerPages<F32PageFormat, F32PageFormat>)sequences.Runner.State.AttentionLayers[layer]!).Pages;
        int page = Download(sequences.Runner.State.PageTable.Row(1))[0];
        foreach ((string name, float[] values) in new[] { ("k", Download(pages.Keys.Cast<float>())), ("v", Download(pages.Values.Cast<float>())) })
        {
            // Ours: [page, Hkv, 64, Hd]; golden: [T, Hkv, Hd].
            int heads = config.NumKeyValueHeads;
            int hd = config.HeadDim;
            var ours = new float[tokens * heads * hd];
            for (int i = 0; i < ours.Length; i++)
                ours[i] = values[(((((page * heads) + (i / hd % heads)) * 64) + (i / hd / heads)) * hd) + (i % hd)];
            AssertClose(ours, golden.Floats($"0.layer{layer}.{name}"), $"layer {layer} {name}");
        }
    }

    // Values of magnitude up to about 30 after 8 layers in f32 against float64.
    private static void AssertClose(float[] actual, float[] expected, string what) =>
        Assert.That(Largest(actual, expected), Is.LessThanOrEqualTo(1e-3), what);

    private static T[] Download<T>(ILGPU.ArrayView<T> view)
        where T : unmanaged
    {
        ComputeDevice device = TestModels.Tiny.Device;
        var values = new T[view.Length];
        ILGPU.Runtime.ArrayViewExtensions.CopyToCPU(view, device.Stream, values);
        device.Synchronize();
        return values;
    }
}
