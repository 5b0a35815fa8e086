namespace QwenIlgpu.Tests;

/// <summary>The experimental OpenCL device, on PoCL: the same kernels through another code generator give the golden tokens.</summary>
[NonParallelizable]
internal sealed class OpenClTests
{
    [Test]
    public async Task GreedyTokensAreGolden()
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        GoldenPrompt prompt = golden.Prompts[0];
        await using QwenModel model = await LoadOrSkipAsync();
        await using var engine = new Engine(model, new EngineOptions { PageType = PageType.F32 });
        var options = new GenerationOptions { MaxTokens = 9, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0 } };

        var ids = new List<int>();
        await foreach (GenerationUpdate update in engine.GenerateAsync(prompt.Ids, options))
            ids.AddRange(update.TokenIds);

        Assert.That(ids, Is.EqualTo(prompt.Greedy[..9]));
    }

    private static async Task<QwenModel> LoadOrSkipAsync()
    {
        try
        {
            return await QwenModel.LoadAsync(TestData.TinyModel, new ModelOptions { Device = DeviceSelection.OpenCl });
        }
        catch (NotSupportedException e) when (e.Message.StartsWith("no OpenCL device", StringComparison.Ordinal))
        {
            Assert.Ignore(e.Message);
            throw;
        }
    }
}
