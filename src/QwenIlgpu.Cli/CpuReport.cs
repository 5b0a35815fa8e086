using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Bench;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>What the processor is, how fast its threads read memory, and which models that allows.</summary>
internal sealed class CpuReport
{
    private readonly ComputeDevice device;

    public CpuReport(ComputeDevice device)
    {
        this.device = device;
        AvailableBytes = AvailableMemory.Bytes();
        BytesPerSecond = BandwidthProbe.MeasureBytesPerSecond(device);
    }

    public static string Name => CpuTopology.ModelName() ?? "CPU";

    /// <summary>The widest vectors that kernels use.</summary>
    public static string Instructions =>
        Avx512F.IsSupported ? "AVX-512" : CpuVectors.AreSupported ? "AVX2" : RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

    public long AvailableBytes { get; }

    public double BytesPerSecond { get; }

    public JsonObject ToJson() => new()
    {
        ["name"] = Name,
        ["instructions"] = Instructions,
        ["kernels"] = device.Loader.UsesShares ? "vector code" : "plain loops, slow: the processor has no AVX2",
        ["physical_cores"] = CpuTopology.PhysicalCores(),
        ["threads"] = device.Loader.Cpu.Count,
        ["read_gb_per_s"] = JsonOutput.Rounded(BytesPerSecond / 1e9, 2),
        ["available_bytes"] = AvailableBytes,
        ["largest_model_bytes"] = CpuChoice.LargestModelBytes(AvailableBytes),
        ["int4_models"] = new JsonArray([.. SyntheticShape.Names.Reverse().Select(n => (JsonNode)DescribeShape(n))]),
    };

    // Published shapes in INT4, embedding and head in INT8.
    private JsonObject DescribeShape(string name)
    {
        ModelFootprint model = SyntheticModel.Measure(SyntheticShape.Of(name), device, HeadQuantization.Int8);
        return new JsonObject
        {
            ["name"] = name,
            ["weight_bytes"] = model.WeightBytes,
            ["fits"] = CpuChoice.Fits(model.WeightBytes, AvailableBytes),
            ["tokens_per_second_at_most"] = JsonOutput.Rounded(BytesPerSecond / model.BytesPerToken, 1),
        };
    }
}
