using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary><c>--quantize int4</c>: the engine computes with exactly the weights that the packing's definition yields.</summary>
[NonParallelizable]
internal sealed class QuantizeOnLoadTests
{
    // As for plain weights: f32 against double through three layers.
    private const double Tolerance = 5e-4;

    [TestCase(TensorType.BF16)]
    [TestCase(TensorType.F32)]
    public async Task EqualsReferenceForwardOnRoundedWeights(TensorType type)
    {
        var shape = new RandomShape("LFL", 256, 384, 2, 1, 128, 32, 1, 2, 64, 128, Tied: false, type, "model.");
        using var checkpoint = new RandomCheckpoint(shape, seed: 77);
        await using QwenModel model = TestModels.Load(checkpoint.Path, WeightQuantization.Int4);
        using var sequences = new SequenceRunner(model, contextTokens: 128);
        int[] ids = [.. Enumerable.Range(0, 20).Select(i => i * 37)];

        float[] logits = sequences.Prefill(ids);

        double[][] expected = new ReferenceForward(shape, Rounded(checkpoint.Stored)).Run(ids);
        double worst = logits.Zip(expected.SelectMany(e => e), (a, e) => Math.Abs(a - e)).Max();
        Assert.That(worst, Is.LessThanOrEqualTo(Tolerance));
        double[][] plain = new ReferenceForward(shape, checkpoint.Stored).Run(ids);
        Assert.That(logits.Zip(plain.SelectMany(e => e), (a, e) => Math.Abs(a - e)).Max(), Is.GreaterThan(100 * Tolerance), "nothing was quantised");
    }

    [Test]
    public async Task LeavesTablesHeadAndGateProjectionsPlain()
    {
        await using QwenModel model = TestModels.Load(TestData.TinyModel, WeightQuantization.Int4);

        var delta = (GatedDeltaNet)model.Weights.Layers[0].Mixer;
        Assert.That(
            new[] { model.Weights.EmbedTokens, model.Weights.LmHead, delta.InProjA, delta.InProjB },
            Has.All.Matches<LinearWeight>(w => w!.Matrix.IsDense));
        Assert.That(
            new[] { delta.InProjQkv, delta.InProjZ, delta.OutProj, model.Weights.Layers[0].FeedForward.DownProj },
            Has.All.Matches<LinearWeight>(w => w!.Matrix.Format == WeightFormat.Int4));
    }

    private static Dictionary<string, double[]> Rounded(IReadOnlyDictionary<string, double[]> stored) => stored.ToDictionary(
        t => t.Key, t => IsQuantised(t.Key) ? RoundRows(t.Value, ColumnsOf(t.Key)) : t.Value);

    private static bool IsQuantised(string name) =>
        name.Contains("_proj.") || name.Contains("in_proj_qkv.") || name.Contains("in_proj_z.");

    private static int ColumnsOf(string name) => name.Contains("down_proj") ? 384 : 256;

    // Groups of 128 along a row, scale = bf16(max|w| / 7.5), code = round(w / scale) in −8 … 7.
    private static double[] RoundRows(double[] weights, int columns)
    {
        Assert.That(columns % 128, Is.Zero);
        double[] rounded = new double[weights.Length];
        for (int start = 0; start < weights.Length; start += 128)
        {
            float largest = weights.Skip(start).Take(128).Max(w => (float)Math.Abs(w));
            float scale = Bf16.ToFloat(Bf16.FromFloat(largest / 7.5f));
            for (int i = start; i < start + 128; i++)
                rounded[i] = scale * Math.Clamp(MathF.Round((float)weights[i] / scale), -8, 7);
        }

        return rounded;
    }
}
