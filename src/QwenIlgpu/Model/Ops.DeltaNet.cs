using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The operations of a gated delta net layer.</summary>
internal sealed partial class Ops
{
    private bool PrefillsRowAfterRow => options.DeltaForm == DeltaPrefillForm.Fastest
        ? loader.UsesShares && loader.Accelerator.AcceleratorType == AcceleratorType.CPU
        : options.DeltaForm == DeltaPrefillForm.Recurrent;

    /// <summary>
    /// A layer between its projections and out_proj: [T, Hv·Dv]. On a GPU one kernel in decode, and in prefill tensor cores up to the norm,
    /// where there are such for the heads; else each part on its own.
    /// </summary>
    public Tensor DeltaNet(Tensor mixed, Tensor z, Tensor b, Tensor a, DeltaShape heads, DeltaParameters weights, int layer)
    {
        StateRows states = StatesOf(layer);
        if (Shape.Snapshots)
            ConvSnapshot(mixed, weights.Conv1d.Columns, states);
        if (fusesPrefill && DeltaPrefill.Supports(heads) && weights.Conv1d.Columns == DeltaParameters.Taps)
            return GatedRmsNorm(TensorCoreDeltaRule(mixed, z, b, a, heads, weights, states), z, weights.Norm, heads.ValueHeadDim, weights.Eps);
        if (!fusesDecode || !DeltaStep.Supports(heads) || weights.Conv1d.Columns != DeltaParameters.Taps)
        {
            (Tensor beta, Tensor g) = DeltaGates(b, a, weights.ALog, weights.DtBias);
            Tensor qkv = CausalConv1d(mixed, weights.Conv1d, states);
            QkL2Norm(qkv, heads);
            return GatedRmsNorm(GatedDeltaRule(qkv, beta, g, heads, states), z, weights.Norm, heads.ValueHeadDim, weights.Eps);
        }

        Tensor y = graph.NewTensor("gated", mixed.Rows, heads.ValueChannels);
        long conv1dBytes = weights.Conv1d.Data.Length * sizeof(float);
        long ringRowsBytes = (long)DeltaParameters.Taps * heads.Channels * sizeof(float);
        Add("delta_step", [mixed, z, b, a], [y], conv1dBytes + (Shape.Sequences * ((2 * states.Slots.States.SlotBytes) + ringRowsBytes)), () =>
            DeltaStep.Bind(
                loader, heads, new DeltaProjections(mixed.View, z.View, b.View, a.View), weights, states.Slots, states.Rows.Rows, y.View));
        return y;
    }

    // Decode has padding rows, which share a row of the pool; prefill has none and sees a layer's own slots.
    private StateRows StatesOf(int layer) => Shape.Kind == StepKind.Decode
        ? new StateRows(state.DeltaPool, new ChunkedRows(inputs.PooledRows(fields, state.DeltaLayersBefore(layer)), slotRows.Chunks))
        : new StateRows(state.DeltaLayers[layer]!, slotRows);

    // From the projections to y before the norm: [T, Hv·Dv].
    private Tensor TensorCoreDeltaRule(
        Tensor mixed, Tensor z, Tensor b, Tensor a, DeltaShape heads, DeltaParameters weights, StateRows states)
    {
        Tensor y = graph.NewTensor("delta", mixed.Rows, heads.ValueChannels);
        int scratchFloats = checked((int)DeltaPrefillScratch.Floats(heads, mixed.Rows, Shape.Chunks));
        Tensor scratch = graph.NewTensor("chunks", 1, scratchFloats, TensorRole.Scratch);
        long stateBytes = 2L * Shape.Sequences * (states.Slots.States.SlotBytes + (states.Slots.Ring.Columns * sizeof(float)));
        graph.Add("delta_prefill", [mixed, b, a], [scratch, y], stateBytes, () => DeltaPrefill.Bind(
            loader, heads, new DeltaProjections(mixed.View, z.View, b.View, a.View), weights, states.Slots, states.Rows,
            new DeltaPrefillScratch(heads, mixed.Rows, Shape.Chunks, scratch.View.Data), y.View),
            launches: DeltaPrefill.Launches, work: NodeWork.DeltaPrefill);
        return y;
    }

    // The conv tails after chunks, into the slots of their snapshots; before the layer's own tails move on.
    private void ConvSnapshot(Tensor mixed, int taps, StateRows states) => Add("conv_snapshot", [mixed], [], 0, () =>
        Kernels.CausalConv1d.BindSnapshot(loader, mixed.View, taps, states.Slots.Ring, states.Rows));

    /// <summary>silu(causal conv1d(x)) with the carried tail: [T, C].</summary>
    private Tensor CausalConv1d(Tensor x, Matrix<float> weight, StateRows states)
    {
        Tensor y = graph.NewTensor("conv", x.Rows, x.Columns);
        long tailBytes = 2L * Shape.Sequences * states.Slots.Ring.Columns * sizeof(float);
        Add("causal_conv1d", [x], [y], tailBytes, () => Kernels.CausalConv1d.Bind(
            loader, x.View, weight, states.Slots.Ring, states.Rows.Rows, y.View));
        return y;
    }

    /// <summary>β = σ(b), g = −exp(A_log)·softplus(a + dt_bias): both [T, Hv].</summary>
    private (Tensor Beta, Tensor G) DeltaGates(Tensor b, Tensor a, ArrayView<float> aLog, ArrayView<float> dtBias)
    {
        Tensor beta = graph.NewTensor("beta", b.Rows, b.Columns);
        Tensor g = graph.NewTensor("g", b.Rows, b.Columns);
        Add("delta_gates", [b, a], [beta, g], 0, () => Kernels.DeltaGates.Bind(loader, b.View, a.View, aLog, dtBias, beta.View, g.View));
        return (beta, g);
    }

    /// <summary>l2-normalises q and k inside q|k|v rows, in place.</summary>
    private void QkL2Norm(Tensor qkv, DeltaShape heads) =>
        Add("qk_l2_norm", [qkv], [qkv], 0, () => Kernels.QkL2Norm.Bind(loader, qkv.View, heads.KeyHeads, heads.KeyHeadDim));

    /// <summary>The gated delta rule over q|k|v rows with the slot's state: [T, Hv·Dv]; recurrent in decode, in prefill as <see cref="DeltaPrefillForm"/> says.</summary>
    private Tensor GatedDeltaRule(Tensor qkv, Tensor beta, Tensor g, DeltaShape heads, StateRows states)
    {
        Tensor y = graph.NewTensor("delta", qkv.Rows, heads.ValueHeads * heads.ValueHeadDim);
        DeltaStates own = states.Slots.States;
        long stateBytes = 2L * Shape.Sequences * own.SlotBytes;
        if (Shape.Kind == StepKind.Decode || PrefillsRowAfterRow)
        {
            bool keepsUnrounded =
                Shape.Kind == StepKind.Prefill && Kernels.GatedDeltaRule.TakesUnrounded(loader, heads, own.Format);
            Tensor? unrounded =
                keepsUnrounded ? graph.NewTensor("unrounded", Shape.Sequences, heads.StateLength, TensorRole.Scratch) : null;
            Add("delta_recurrent", [qkv, beta, g], unrounded is null ? [y] : [unrounded, y], stateBytes, () =>
                Kernels.GatedDeltaRule.BindRecurrent(
                    loader, heads, new DeltaRuleInputs(qkv.View, beta.View, g.View), own, states.Rows, y.View, unrounded?.View ?? default));
            return y;
        }

        Tensor scratch = graph.NewTensor("chunks", qkv.Rows, ChunkScratch.Columns(heads), TensorRole.Scratch);
        graph.Add("delta_chunked", [qkv, beta, g], [scratch, y], stateBytes, () => Kernels.GatedDeltaRule.BindChunked(
            loader, heads, new DeltaRuleInputs(qkv.View, beta.View, g.View), own, states.Rows, new ChunkScratch(heads, scratch.View),
            y.View), launches: Kernels.GatedDeltaRule.ChunkedLaunches);
        return y;
    }

    // Where the states of a layer are, and which of them the step's sequences have.
    private readonly record struct StateRows(DeltaSlots Slots, ChunkedRows Rows);

    /// <summary>norm(x)·weight·silu(z) per value head: [T, Hv·Dv].</summary>
    private Tensor GatedRmsNorm(Tensor x, Tensor z, ArrayView<float> weight, int headDim, float eps)
    {
        Tensor y = graph.NewTensor("gated", x.Rows, x.Columns);
        Add("gated_rms_norm", [x, z], [y], 0, () => Kernels.GatedRmsNorm.Bind(loader, x.View, z.View, weight, headDim, y.View, eps));
        return y;
    }
}

/// <summary>How prompts go through the gated delta rule where no kernel of tensor cores does.</summary>
internal enum DeltaPrefillForm
{
    /// <summary>Row after row where CPU threads run vector code, which needs fewer products; chunked elsewhere, for many threads.</summary>
    Fastest,

    /// <summary>64 positions at a time.</summary>
    Chunked,

    /// <summary>Row after row, as decode: with states of floats to the bit what steps of one row each would give.</summary>
    Recurrent,
}
