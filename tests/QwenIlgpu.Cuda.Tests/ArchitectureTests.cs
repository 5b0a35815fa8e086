namespace QwenIlgpu.Cuda.Tests;

/// <summary>No architecture refuses what the engine asks of it: threads, registers, shared memory.</summary>
[NonParallelizable]
internal sealed class ArchitectureTests
{
    [TestCase("sm_80", Category = "Exhaustive")]
    [TestCase("sm_86")]
    [TestCase("sm_89", Category = "Exhaustive")]
    [TestCase("sm_90", Category = "Exhaustive")]
    public async Task TakesEveryLaunchOfPrefillAndDecode(string name)
    {
        GpuArchitecture architecture = GpuArchitecture.All.Single(a => a.Name == name);
        Func<string, int> registers = StandIn.RegistersOn(architecture);
        using IDisposable options = StandIn.With(o => o with { Architecture = architecture, RegistersOf = registers });
        await using QwenModel model = await TinyModel.LoadAsync(TinyModel.GptqFolder);
        await using var engine = new Engine(model, new EngineOptions { PrefillChunkTokens = 64 });
        int[] prompt = [.. Enumerable.Range(0, 150).Select(i => i % 2000)];
        StandIn.Clear();

        await foreach (GenerationUpdate _ in engine.GenerateAsync(prompt, new GenerationOptions { MaxTokens = 8, IgnoreEos = true }))
        {
        }

        DriverCall[] calls = StandIn.Calls;
        Assert.That(calls.Where(c => c.Result is not (0 or 600)), Is.Empty);
        DriverCall[] launches = [.. calls.Where(c => c.IsLaunch)];
        Assert.That(launches, Has.Length.GreaterThan(100));
        Assert.That(launches.Where(l => registers(l.Name) == 0).Select(l => l.Name).Distinct(), Is.Empty, "kernels that the table does not know");
        Assert.That(launches.Max(l => registers(l.Name) * l.Block.X), Is.GreaterThan(30_000), "none comes near the limit of 65,536");
    }
}
