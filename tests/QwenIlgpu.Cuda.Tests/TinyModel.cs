namespace QwenIlgpu.Cuda.Tests;

/// <summary>The tiny model on the stand-in driver, and one sequence decoded with it.</summary>
internal static class TinyModel
{
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "models", "tiny-qwen3.6");

    public static string GptqFolder { get; } = Path.Combine(AppContext.BaseDirectory, "data", "tiny-qwen3.6-gptq-int4");

    public static Task<QwenModel> LoadAsync(
        string? folder = null, WeightQuantization quantization = WeightQuantization.None, DeviceSelection? device = null) =>
        QwenModel.LoadAsync(folder ?? Folder, new ModelOptions { Device = device ?? DeviceSelection.Cuda(), Quantization = quantization, KernelCacheDirectory = null });
}

/// <summary>A fixture whose tests share the tiny model.</summary>
internal abstract class TinyModelTests
{
    protected QwenModel Model { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task Load() => Model = await TinyModel.LoadAsync();

    [OneTimeTearDown]
    public async Task Unload()
    {
        if (Model is not null)
            await Model.DisposeAsync();
    }
}

/// <summary>A scheduler with one sequence, stepped by hand.</summary>
internal sealed class SteppedSequence : IDisposable
{
    private readonly Scheduler scheduler;

    public SteppedSequence(QwenModel model, bool graphs, int tokens = 200, SamplingOptions? sampling = null)
    {
        EngineCapacity capacity = new EngineOptions { MaxSequences = 2, ContextTokens = 512 }.Resolve(model.Config);
        Runner = new StepRunner(model, capacity, new StepRunnerOptions(Graphs: graphs));
        scheduler = new Scheduler(Runner);
        ResolvedSampling resolved = ResolvedSampling.Resolve(
            sampling ?? new SamplingOptions { Temperature = 0.8f, TopK = 20, TopP = 0.9f, Seed = 1 }, null, model.VocabularySize, model.HasToken, () => 0);
        Stream = new TokenStream(tokens, resolved.TopLogProbs ?? -1);
        scheduler.Enqueue(new GenerationRequest([5, 6, 7], tokens, new HashSet<int>(), resolved, Stream));
        scheduler.Update();
        scheduler.Step();
    }

    public StepRunner Runner { get; }

    public TokenStream Stream { get; }

    public OpGraph DecodeGraph => Runner.GraphOf(StepShape.Decode(1)).Graph;

    public void Step() => scheduler.Step();

    /// <summary>The driver calls of one more step.</summary>
    public DriverCall[] StepCalls()
    {
        StandIn.Clear();
        scheduler.Step();
        return StandIn.Calls;
    }

    public void Dispose() => Runner.Dispose();
}
