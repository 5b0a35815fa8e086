namespace QwenIlgpu.Kernels.Tests;

/// <summary>The kernels that are mutated, and the fixtures whose tests should notice: every kernel of groups, and what each step launches.</summary>
internal static class HotKernels
{
    public static IReadOnlyList<string> Names { get; } =
    [
        "DecodeMatMulKernel<Int4Tiles<Bf16Decode>, NoRiders, Bf16Decode>",
        "DecodeMatMulKernel<Int4Tiles<Bf16Decode>, DenseRiders, Bf16Decode>",
        "DecodeMatMulKernel<DenseTiles<Bf16Decode>, NoRiders, Bf16Decode>",
        "PackedDecodeMatMulKernel<Int4Tiles<Bf16Decode>, NoRiders, Bf16Decode, Two>",
        "PackRowsKernel<Bf16Decode>",
        "LargestLogitKernel",
        "PrefillMatMulKernel<Int4Tiles<Bf16Decode>, Bf16Decode, WidePrefillTile>",
        "PrefillMatMulKernel<DenseTiles<Bf16Decode>, Bf16Decode, WidePrefillTile>",
        "RoundRowsKernel<Bf16Decode>",
        "DecodeAttentionKernel<Head64>",
        "DecodeAttentionKernel<Head256>",
        "PrefillAttentionKernel<OutputTile64, One>",
        "QkNormRotaryAppendKernel<Single, F32Format>",
        "DeltaStepKernel<Float4, F32StepState>",
        "DeltaInputsKernel<Dim64>",
        "ChunkPrepareKernel<Dim64>",
        "TensorCoreChunkScanKernel<Dim64, UInt2, F32StatePair>",
        "RowNormKernel",
        "FindBestKernel",
        "WeighSectionsKernel",
        "ListKernel",
        "DrawKernel",
        "TargetLogProbsRowKernel",
        "FeedTokensKernel",
        "AdvanceSlotsKernel",
    ];

    public static IReadOnlyList<Type> Fixtures { get; } =
    [
        typeof(DecodeMatMulTests), typeof(DecodeEpilogueTests), typeof(PrefillMatMulTests), typeof(PrefillEpilogueTests),
        typeof(DecodeAttentionTests), typeof(PrefillAttentionTests), typeof(QkNormRotaryAppendTests<float, F32Format>),
        typeof(DeltaStepTests), typeof(DeltaStepDraftTests), typeof(DeltaPrefillTests), typeof(DeltaPrefillInputsTests), typeof(DeltaStateTypeTests),
        typeof(SamplingTests), typeof(SamplingDefinitionTests), typeof(SamplingLogProbsTests), typeof(TargetLogProbsTests), typeof(DecodeFeedbackTests),
    ];
}
