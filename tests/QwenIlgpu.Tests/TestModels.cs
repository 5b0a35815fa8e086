namespace QwenIlgpu.Tests;

/// <summary>Models that several fixtures share, loaded once; on the CPU accelerator, or on CUDA with <c>--test-parameter device=cuda</c>.</summary>
[SetUpFixture]
internal sealed class TestModels
{
    private static readonly Lazy<QwenModel> TinyModel = new(() => Load(TestData.TinyModel));
    private static readonly Lazy<QwenModel> GptqModel = new(() => Load(TestData.TinyGptqModel));
    private static readonly Lazy<QwenModel> WarpModel = new(() => QwenModel.LoadAsync(
        TestData.TinyModel, new ModelOptions { Device = DeviceSelection.OpenCl, EmulatesWarps = true }).GetAwaiter().GetResult());

    public static DeviceSelection Device => DeviceSelection.Parse(TestContext.Parameters.Get("device", "cpu"));

    public static QwenModel Tiny => TinyModel.Value;

    public static QwenModel TinyGptq => GptqModel.Value;

    /// <summary>The tiny model on the kernels that a GPU runs, emulated on PoCL; the test that asks is skipped where there is none.</summary>
    public static QwenModel TinyOnWarps
    {
        get
        {
            try
            {
                return WarpModel.Value;
            }
            catch (NotSupportedException e) when (e.Message.StartsWith("no OpenCL device", StringComparison.Ordinal))
            {
                Assert.Ignore(e.Message);
                throw;
            }
        }
    }

    public static QwenModel Load(string path, WeightQuantization quantization = WeightQuantization.None) =>
        QwenModel.LoadAsync(path, new ModelOptions { Device = Device, Quantization = quantization }).GetAwaiter().GetResult();

    [OneTimeTearDown]
    public async Task DisposeModels()
    {
        foreach (Lazy<QwenModel> model in new[] { TinyModel, GptqModel, WarpModel })
        {
            if (model.IsValueCreated)
                await model.Value.DisposeAsync();
        }
    }
}
