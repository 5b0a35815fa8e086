namespace QwenIlgpu.Kernels.Tests;

/// <summary>A kernel that is mutated, in one of its instantiations, and the fixtures whose tests should notice.</summary>
internal sealed record HotKernel(string Name, params Type[] Fixtures)
{
    private static readonly Type[] Decode = [typeof(DecodeMatMulTests), typeof(DecodeEpilogueTests)];
    private static readonly Type[] Prefill = [typeof(PrefillMatMulTests), typeof(PrefillEpilogueTests)];
    private static readonly Type[] DeltaStep = [typeof(DeltaStepTests), typeof(DeltaStepDraftTests)];
    private static readonly Type[] DeltaPrefill = [typeof(DeltaPrefillTests), typeof(DeltaPrefillInputsTests), typeof(DeltaStateTypeTests)];
    private static readonly Type[] Sampling = [typeof(SamplingTests), typeof(SamplingDefinitionTests), typeof(SamplingPlacesTests), typeof(SamplingLogProbsTests)];

    /// <summary>Every kernel of groups, and those of a step that are none: in the order of the table.</summary>
    public static IReadOnlyList<HotKernel> All { get; } =
    [
        new("DecodeMatMulKernel<Int4Tiles<Bf16Operand>, NoRiders, Bf16Operand>", Decode),
        new("DecodeMatMulKernel<Int4Tiles<Bf16Operand>, DenseRiders, Bf16Operand>", Decode),
        new("DecodeMatMulKernel<DenseTiles<Bf16Operand>, NoRiders, Bf16Operand>", Decode),
        new("PackedDecodeMatMulKernel<Int4Tiles<Bf16Operand>, NoRiders, Bf16Operand, Two>", Decode),
        new("PackRowsKernel<Bf16Operand>", Decode),
        new("LargestLogitKernel", Decode),
        new("PrefillMatMulKernel<Int4Tiles<Bf16Operand>, Bf16Operand, WidePrefillTile>", Prefill),
        new("PrefillMatMulKernel<DenseTiles<Bf16Operand>, Bf16Operand, WidePrefillTile>", Prefill),
        new("RoundRowsKernel<Bf16Operand>", Prefill),
        new("RowNormKernel", [.. Decode, .. Prefill]),
        new("DecodeAttentionKernel<Head64>", typeof(DecodeAttentionTests)),
        new("DecodeAttentionKernel<Head256>", typeof(DecodeAttentionTests)),
        new("CodedDecodeAttentionKernel<Head64, Int8PageFormat, Int4PageFormat>", typeof(CodedDecodeAttentionTests<Int8PageFormat, Int4PageFormat>)),
        new("PrefillAttentionKernel<Bf16PageFormat, Bf16PageFormat, OutputTile64, One>", typeof(PrefillAttentionTests<Bf16PageFormat, Bf16PageFormat>)),
        new("PrefillAttentionKernel<Int8PageFormat, Int4PageFormat, OutputTile64, One>", typeof(PrefillAttentionTests<Int8PageFormat, Int4PageFormat>)),
        new("QkNormRotaryAppendKernel<F32PageFormat, F32PageFormat>", typeof(QkNormRotaryAppendTests<F32PageFormat, F32PageFormat>)),
        new("DeltaStepKernel<Float4, F32State>", DeltaStep),
        new("DeltaInputsKernel<Dim64>", DeltaPrefill),
        new("ChunkPrepareKernel<Dim64>", DeltaPrefill),
        new("TensorCoreChunkScanKernel<Dim64, Float4, F32State>", DeltaPrefill),
        new("FindBestKernel", Sampling),
        new("WeighSectionsKernel", Sampling),
        new("ListKernel", Sampling),
        new("DrawKernel", Sampling),
        new("TargetLogProbsRowKernel", typeof(TargetLogProbsTests)),
        new("FeedTokensKernel", typeof(DecodeFeedbackTests)),
        new("AdvanceSlotsKernel", typeof(DecodeFeedbackTests)),
    ];
}
