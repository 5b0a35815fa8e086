using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Records a step as <see cref="StepRunner"/> does, but binds nothing and allocates neither state nor activations: what a step consists of,
/// for models that are larger than the machine.
/// </summary>
internal static class StepPlan
{
    /// <summary>The nodes of one decode step of one sequence, that feeds back and samples.</summary>
    public static OpGraph RecordDecode(QwenModel model, KvType kvType, DeltaStateType stateType = DeltaStateType.F32) =>
        Record(model, kvType, StepShape.Decode(1), contextTokens: 64, stateType);

    /// <summary>The nodes of a step of so many tokens of one prompt, its last row's logits among them.</summary>
    public static OpGraph RecordPrefill(QwenModel model, KvType kvType, int tokens, DeltaStateType stateType = DeltaStateType.F32) => Record(
        model, kvType, new StepShape(StepKind.Prefill, tokens, 1, 1, (tokens + ChunkList.ChunkRows - 1) / ChunkList.ChunkRows, true), tokens, stateType);

    /// <summary>The nodes of a step of one sequence.</summary>
    public static OpGraph Record(
        QwenModel model, KvType kvType, StepShape shape, int contextTokens, DeltaStateType stateType = DeltaStateType.F32)
    {
        EngineCapacity capacity =
            new EngineOptions
            {
                MaxSequences = 1, ContextTokens = contextTokens, KvType = kvType, DeltaStateType = stateType, PrefixCache = PrefixCacheMode.Off,
            }.Resolve(model.Config);
        model.Borrow();
        try
        {
            using var memory = new DeviceMemory(model.Device);
            using var measuring = new DeviceMemory(model.Device) { IsMeasuring = true };
            var state = new ModelState(model.Device, measuring, model.Config, capacity);
            var inputs = new StepInputs(model.Device, memory, StepInputs.CountFor(shape, state.DeltaLayerCount));
            var sampling = new SamplingState(
                model.Device, memory, model.SamplingVocabulary, capacity.Slots, Math.Max(shape.LogitRows, 1), shape.ScoredRows, contextTokens);
            OpGraph graph = StepRunner.Record(model, inputs, sampling, state, shape, new RecordOptions(), tickets: default).Graph;
            model.Device.Synchronize();
            return graph;
        }
        finally
        {
            model.Return();
        }
    }
}
