namespace QwenIlgpu.Tests;

/// <summary>Models that several fixtures share, loaded once; on the CPU accelerator, or on CUDA with <c>--test-parameter device=cuda</c>.</summary>
[SetUpFixture]
internal sealed class TestModels
{
    private static readonly Lazy<QwenModel> TinyModel = new(() => Load(TestData.TinyModel));
    private static readonly Lazy<QwenModel> GptqModel = new(() => Load(TestData.TinyGptqModel));

    public static DeviceSelection Device => DeviceSelection.Parse(TestContext.Parameters.Get("device", "cpu"));

    public static QwenModel Tiny => TinyModel.Value;

    public static QwenModel TinyGptq => GptqModel.Value;

    public static QwenModel Load(string path, WeightQuantization quantization = WeightQuantization.None) =>
        QwenModel.LoadAsync(path, new ModelOptions { Device = Device, Quantization = quantization }).GetAwaiter().GetResult();

    [OneTimeTearDown]
    public async Task DisposeModels()
    {
        foreach (Lazy<QwenModel> model in new[] { TinyModel, GptqModel })
        {
            if (model.IsValueCreated)
                await model.Value.DisposeAsync();
        }
    }
}
