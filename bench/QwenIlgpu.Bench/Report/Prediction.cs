namespace QwenIlgpu.Bench;

/// <summary>What one decoded token of the 27B must take at a bandwidth, from its recorded step.</summary>
internal sealed class Prediction
{
    /// <summary>The shape that is predicted.</summary>
    public const string Shape = "27b";

    private readonly OpGraph graph;

    private Prediction(OpGraph graph, double bytesPerSecond) => (this.graph, BytesPerSecond) = (graph, bytesPerSecond);

    public double BytesPerSecond { get; }

    public static async Task<Prediction> OfDecodeAsync(double bytesPerSecond)
    {
        await using QwenModel model = SyntheticModel.CreateUnfilled(
            Shape, SyntheticShape.Of(Shape), ComputeDevice.OpenCpu(recordsWarpKernels: true), HeadQuantization.Int8);
        return new Prediction(StepPlan.RecordDecode(model, KvType.Bf16), bytesPerSecond);
    }

    public NodePlan At(int contextTokens) => NodePlan.Of(graph, contextTokens, BytesPerSecond);
}
