namespace QwenIlgpu.Cuda.Tests;

/// <summary>Checkpoints in FP8 and FP4: the kernels of tensor cores against the portable ones, and what no format of theirs holds.</summary>
internal sealed class LowFloatTests(int seed) : EngineFixture(seed)
{
    private static LowFloatDialect[] OnAGpu { get; } = [.. LowFloatDialect.All.Where(d => d.IsExactOnAGpu)];

    private static LowFloatDialect[] Quick { get; } = OnAGpu[^1..];

    // A prompt that ends inside a tile, then a single token.
    [TestCaseSource(nameof(Quick))]
    [TestCaseSource(nameof(OnAGpu), Category = "Exhaustive")]
    public async Task LogitsAreThoseOfThePortableKernels(LowFloatDialect dialect)
    {
        (TinyCopy rounded, TinyCopy plain) = dialect.Write();
        using TinyCopy _ = rounded;
        plain.Dispose();
        await using QwenModel portable = Load(rounded.Path, DeviceSelection.Cpu);
        await using QwenModel warps = Load(rounded.Path, DeviceSelection.Cuda());

        double worst = Largest(Logits(warps), Logits(portable));

        TestContext.Out.WriteLine($"{dialect}: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(LogitBound));
    }

    [Test]
    public void ScalesThatNoFormatHoldsAreRefusedByName()
    {
        (TinyCopy rounded, TinyCopy plain) = LowFloatDialect.All.First(d => !d.IsExactOnAGpu).Write();
        using TinyCopy _ = rounded;
        plain.Dispose();
        Assert.That(
            () => Load(rounded.Path, DeviceSelection.Cuda()),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains(
                "layers.0.linear_attn.in_proj_qkv is MXFP4, groups of 32, which no format on a GPU holds exactly; on the CPU it is expanded to F32"));
    }

    private static float[] Logits(QwenModel model)
    {
        int[] ids = Prompt(21);
        using var sequences = new SequenceRunner(model);
        return [.. sequences.Prefill(ids[..20]), .. sequences.Decode(ids[20..], firstPosition: 20)];
    }
}
