namespace QwenIlgpu.Tests;

/// <summary>The same 4-bit weights give the same model however a checkpoint stores them.</summary>
[NonParallelizable]
internal sealed class Int4DialectTests
{
    // The weights are the same to the bit; with zero points and smaller groups sums are formed in another order. Measured: 2e-5.
    private const double Bound = 2e-4;

    // One of each packing, with zero points; in order and not; with scales that only floats hold.
    private static Int4Dialect[] Quick { get; } =
    [
        .. Int4Dialect.All.Where(d => d.HasF32Scales || d == Int4Dialect.ActOrder || d.Name is "GPTQ v2, g64, asymmetric" or "AWQ, g64"
            || d is { IsCompressedTensors: true, HasZeros: true }),
    ];

    private static Int4Dialect[] Others { get; } = [.. Int4Dialect.All.Except(Quick)];

    private static readonly int[] Ids = [.. Enumerable.Range(0, 70).Select(i => 300 + (i * 37 % 1500))];

    [TestCaseSource(nameof(Quick))]
    [TestCaseSource(nameof(Others), Category = "Exhaustive")]
    public async Task LogitsAreThoseOfTheGptqCheckpoint(Int4Dialect dialect)
    {
        float[] expected = Logits(TestModels.TinyGptq);
        (TinyCopy copy, int moved) = dialect.Write();
        using TinyCopy _ = copy;
        Assert.That(moved, dialect.HasZeros ? Is.GreaterThan(1000) : Is.Zero, "zero points that are not 8");
        await using QwenModel model = TestModels.Load(copy.Path);

        float[] actual = Logits(model);

        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double worst = actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
        TestContext.Out.WriteLine($"{moved} zero points moved, max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(Bound));
    }

    // Older GPTQ writers put one of zeros beside every module.
    [TestCase("tiny GPTQ", true)]
    [TestCase("tiny bf16", true)]
    [TestCase("tiny bf16", false)]
    public async Task ABiasIsRefusedUnlessItIsOfZeros(string model, bool ofZeros)
    {
        const string Bias = "model.language_model.layers.3.mlp.down_proj.bias";
        using var copy = new TinyCopy(model == "tiny GPTQ" ? TestData.TinyGptqModel : TestData.TinyModel);
        var bytes = new byte[2 * 256];
        bytes[^1] = ofZeros ? (byte)0 : (byte)1;
        copy.Put(Bias, TensorType.F16, [256], bytes);
        copy.Save();

        if (ofZeros)
            await TestModels.Load(copy.Path).DisposeAsync();
        else
            Assert.That(() => TestModels.Load(copy.Path), Throws.InstanceOf<NotSupportedException>().With.Message.Contains($"{Bias} is not zero at element 255"));
    }

    // Prefill, then single tokens, which take another way through the weights on a CPU.
    private static float[] Logits(QwenModel model)
    {
        using var sequences = new SequenceRunner(model);
        return [.. sequences.Prefill(Ids), .. sequences.Decode([401, 512, 613], firstPosition: Ids.Length)];
    }
}
