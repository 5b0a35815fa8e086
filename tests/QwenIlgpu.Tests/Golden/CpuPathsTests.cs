namespace QwenIlgpu.Tests;

/// <summary>What must not show on the CPU: the number of threads, and whether kernels run as vector code or as the loops that define them.</summary>
[NonParallelizable]
internal sealed class CpuPathsTests
{
    // Three threads of two cores wait for each other in every way that there is.
    [TestCase(false, TestName = "ThreadsDoNotShow(bf16)")]
    [TestCase(true, TestName = "ThreadsDoNotShow(gptq-int4)")]
    public async Task ThreadsDoNotShow(bool gptq)
    {
        float[] one = await Logits(gptq, new ModelOptions { CpuThreads = 1 });

        Assert.That(await Logits(gptq, new ModelOptions { CpuThreads = 2 }), Is.EqualTo(one));
        Assert.That(await Logits(gptq, new ModelOptions { CpuThreads = 3 }), Is.EqualTo(one));
    }

    // Both sum the same products in float, in different orders: as far apart as either is from float64.
    [TestCase(false, TestName = "SharesStayWithTheirDefinition(bf16)")]
    [TestCase(true, TestName = "SharesStayWithTheirDefinition(gptq-int4)")]
    public async Task SharesStayWithTheirDefinition(bool gptq)
    {
        float[] plain = await Logits(gptq, new ModelOptions { UsesShares = false });
        float[] shares = await Logits(gptq, new ModelOptions());

        double worst = plain.Zip(shares, (a, b) => Math.Abs((double)a - b)).Max();
        TestContext.Out.WriteLine($"max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(1e-3));
    }

    // A prompt in two chunks of no round length, and tokens decoded after it, alone and beside another sequence.
    private static async Task<float[]> Logits(bool gptq, ModelOptions options)
    {
        await using QwenModel model = await QwenModel.LoadAsync(
            gptq ? TestData.TinyGptqModel : TestData.TinyModel, options with { Device = DeviceSelection.Cpu });
        using var sequences = new SequenceRunner(model);
        int[] ids = [.. Enumerable.Range(0, 71).Select(i => (i * 37) % 2048)];
        return [.. sequences.Prefill(ids, chunkTokens: 43), .. sequences.Decode([3, 1, 4], firstPosition: ids.Length)];
    }
}
