namespace QwenIlgpu.Cuda.Tests;

/// <summary>
/// Engines with the kernels that a GPU runs, on the PTX machine, whose groups, warps and streams take an order that the seed draws; or,
/// with <c>--test-parameter device=cuda</c>, on a GPU, which takes its own, once.
/// </summary>
[TestFixture(1)]
[TestFixture(2, Category = "Exhaustive")]
[TestFixture(3, Category = "Exhaustive")]
[NonParallelizable]
internal abstract class EngineFixture(int seed)
{
    // bf16 operands in every linear layer and bf16 queries, keys, values and weights in attention, f16 in the delta rule, through eight
    // layers. Measured: 2.5e-2.
    protected const double LogitBound = 5e-2;

    private static readonly Lazy<QwenModel> TinyModel = new(() => Load(TestData.TinyModel, DeviceSelection.Cuda()));
    private static readonly Lazy<QwenModel> GptqModel = new(() => Load(TestData.TinyGptqModel, DeviceSelection.Cuda()));
    private static readonly Lazy<QwenModel> PortableTinyModel = new(() => Load(TestData.TinyModel, DeviceSelection.Cpu));
    private static readonly Lazy<QwenModel> PortableGptqModel = new(() => Load(TestData.TinyGptqModel, DeviceSelection.Cpu));

    private MachineOptions? usual;
    private IDisposable? scheduled;

    protected static QwenModel Tiny => TinyModel.Value;

    [OneTimeSetUp]
    public void Schedule()
    {
        Assume.That(seed == 1 || !StandIn.IsHardware, "a GPU has its own order");
        if (StandIn.IsHardware)
            return;
        scheduled = StandIn.With(o => o with { Order = WorkOrder.Drawn, Seed = seed, RunsKernels = true, Records = false });
        usual = MachineDriver.Machine.Options;
        MachineDriver.Machine.Options = usual with { Seed = seed, Declared = MachineDeclarations.All };
    }

    [OneTimeTearDown]
    public void Restore()
    {
        scheduled?.Dispose();
        if (usual is not null)
            MachineDriver.Machine.Options = usual;
    }

    protected static QwenModel ModelOf(string checkpoint) => checkpoint == "tiny-qwen3.6" ? TinyModel.Value : GptqModel.Value;

    /// <summary>The same weights on the CPU accelerator, in f32.</summary>
    protected static QwenModel PortableOf(string checkpoint) => checkpoint == "tiny-qwen3.6" ? PortableTinyModel.Value : PortableGptqModel.Value;

    protected static QwenModel Load(string path, DeviceSelection device) =>
        QwenModel.LoadAsync(path, new ModelOptions { Device = device, KernelCacheDirectory = null }).GetAwaiter().GetResult();

    /// <summary>This many ids of the longest golden prompt, over and over.</summary>
    protected static int[] Prompt(int tokens)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int[] ids = golden.Prompts.MaxBy(p => p.Ids.Length)!.Ids;
        return [.. Enumerable.Range(0, tokens).Select(i => ids[i % ids.Length])];
    }

    protected static double Largest(float[] actual, float[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        Assert.That(actual, Has.None.NaN);
        return actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
    }
}
