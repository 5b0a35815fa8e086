namespace QwenIlgpu.Tests;

/// <summary>Shapes of the family that the tiny model does not have: the engine's step equals a plain double-precision forward pass.</summary>
[NonParallelizable]
internal sealed class OtherShapesTests
{
    // Logits of magnitude 1 to 5 through at most five layers of f32; the bound of the golden tests is 2e-3 through eight.
    private const double Tolerance = 5e-4;

    private static readonly RandomShape[] Shapes =
    [
        new("LLFLF", 96, 160, 2, 2, 48, 16, 3, 3, 32, 32, Tied: true, TensorType.F32, "model.language_model."),   // tied, ratio 1, 5 layers, head 48
        new("FLF", 128, 192, 4, 1, 256, 64, 1, 4, 64, 32, Tied: false, TensorType.BF16, "model."),                // one key head, ratio 4, head 256
        new("LFL", 100, 136, 6, 2, 64, 32, 2, 4, 48, 64, Tied: false, TensorType.F16, "language_model.model."),   // hidden 100, ratio 2, F16
        new("LLL", 64, 64, 1, 1, 64, 64, 1, 3, 32, 96, Tied: true, TensorType.BF16, "model."),                    // no attention at all, ratio 3
    ];

    [Test]
    public async Task StepEqualsReferenceForward([Range(0, 3)] int index)
    {
        RandomShape shape = Shapes[index];
        using var checkpoint = new RandomCheckpoint(shape, seed: 40 + index);
        await using QwenModel model = TestModels.Load(checkpoint.Path);
        using var sequences = new SequenceRunner(model, contextTokens: 256);
        var random = new Random(index);
        int[] ids = [.. Enumerable.Range(0, 71).Select(_ => random.Next(2048))];

        float[] prefilled = sequences.Prefill(ids[..67], chunkTokens: 64);
        float[] decoded = sequences.Decode(ids[67..], firstPosition: 67);

        double[][] expected = new ReferenceForward(shape, checkpoint.Stored).Run(ids);
        double worst = prefilled.Concat(decoded).Zip(expected.SelectMany(e => e), (a, e) => Math.Abs(a - e)).Max();
        TestContext.Out.WriteLine($"max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(Tolerance));
    }
}
