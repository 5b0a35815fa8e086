namespace QwenIlgpu.Kernels.Tests;

/// <summary>All slices, family by family.</summary>
internal static class RealSliceCatalogue
{
    public static IReadOnlyList<Slice> All { get; } =
    [
        .. MatMulSlices.All,
        .. DecodeMatMulSlices.All,
        .. PrefillMatMulSlices.All,
        .. AttentionSlices.All,
        .. DeltaRuleSlices.All,
        .. DeltaLayerSlices.All,
        .. NormSlices.All,
        .. EmbeddingSlices.All,
        .. PackingSlices.All,
        .. SamplingSlices.All,
        .. SlotSlices.All,
        .. FillSlices.All,
    ];
}
