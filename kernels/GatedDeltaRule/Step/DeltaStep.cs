using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A DeltaNet layer between its projections in one launch, for decode and the verification of drafts: <see cref="CausalConv1d"/>,
/// <see cref="QkL2Norm"/>, <see cref="DeltaGates"/>, <see cref="GatedDeltaRule"/> row after row, <see cref="GatedRmsNorm"/>.
/// </summary>
internal static class DeltaStep
{
    /// <summary>The most rows of one sequence in a step.</summary>
    public const int MaxRows = 8;

    /// <summary>The largest head size.</summary>
    public const int MaxHeadDim = 128;

    /// <summary>The op's name in messages.</summary>
    public const string Op = "delta_step";

    /// <summary>Rows of a ring that suits steps of so many rows a sequence.</summary>
    public static int RingRows(int rows) => rows + DeltaParameters.Taps - 1;

    /// <summary>Whether there is a kernel for these heads.</summary>
    public static bool Supports(DeltaShape shape) =>
        shape.KeyHeadDim is 64 or 128 && shape.ValueHeadDim is > 0 and <= MaxHeadDim && GroupThreads(shape) % 32 == 0;

    /// <summary>Two value columns to every Dk / 32 threads.</summary>
    public static int GroupThreads(DeltaShape shape) => shape.ValueHeadDim / 2 * (shape.KeyHeadDim / KeyWords.Keys);

    /// <summary>
    /// The slots' ring has at least 3 + the rows of any sequence, of which there are at most <see cref="MaxRows"/>; y: [T, Hv · Dv]. A
    /// sequence whose first position is 0 starts from zeros and its slot is not read.
    /// </summary>
    /// <remarks>
    /// Without a stash the rows are final and the state after them is stored. With one, the rows that
    /// <see cref="DeltaStash.Accepted"/> counts of the slot's last step are added to the state, which is stored, and this step's rows
    /// go into the stash instead: a sequence without rows only adds what was accepted. The counts are read, not changed.
    /// </remarks>
    public static Launch Bind(
        KernelLoader loader,
        DeltaShape shape,
        DeltaProjections projections,
        DeltaParameters parameters,
        DeltaSlots slots,
        SlotRows rows,
        Matrix<float> y,
        DeltaStash? stash = null)
    {
        Check(shape, projections, parameters, rows, y);
        (DeltaStates states, Matrix<float> ring) = slots;
        Require.Equal(Op, "columns of state", states.Columns, "Hv · Dv · Dk", shape.StateLength);
        int ringRows = ring.Columns / shape.Channels;
        Require.That(
            Op,
            ringRows >= RingRows(1) && ring.Columns % shape.Channels == 0,
            $"columns of ring are {ring.Columns}, not a multiple of {shape.Channels} channels for at least {RingRows(1)} rows");
        Require.Equal(Op, "rows of ring", ring.Rows, "slots of state", states.Slots);
        var operands = new DeltaStepOperands(projections, parameters, rows, y);
        var drafts = new DeltaStepDrafts(operands.Y, rows.StateSlot, kept: false, ringRows);
        if (stash is { } kept)
        {
            Require.Equal(Op, "columns of stash", kept.Rows.Columns, "its need of the shape", DeltaStash.Columns(shape));
            Require.Equal(Op, "rows of stash", kept.Rows.Rows, "slots of state", states.Slots);
            Require.Equal(Op, "length of accepted", kept.Accepted.Length, "slots of state", states.Slots);
            drafts = new DeltaStepDrafts(Float4.Words(Op, "stash", kept.Rows), kept.Accepted, kept: true, ringRows);
        }

        return states.Format switch
        {
            DeltaStateFormat.F32 => Step<Float4, F32State>(),
            DeltaStateFormat.F16 => Step<UInt2, F16State>(),
            _ => Step<UInt2, Bf16State>(),
        };

        Launch Step<TWord, TState>()
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord>
        {
            var kernel = new DeltaStepKernel<TWord, TState>(operands, shape, states.Words<TWord>(Op), ring, drafts);
            return loader.Bind(DeltaStepKernel<TWord, TState>.DeltaStepRows, kernel.Config, kernel);
        }
    }

    private static void Check(
        DeltaShape shape, DeltaProjections projections, DeltaParameters parameters, SlotRows step, Matrix<float> y)
    {
        Require.That(
            Op,
            shape.KeyHeads > 0 && shape.ValueHeads > 0 && shape.ValueHeads % shape.KeyHeads == 0,
            $"{shape.ValueHeads} value heads are no multiple of {shape.KeyHeads} key heads");
        Require.That(
            Op,
            Supports(shape),
            $"key heads must be of 64 or 128, value heads of up to {MaxHeadDim} in whole warps of column pairs: {shape}");
        int rows = projections.Mixed.Rows;
        Require.Equal(Op, "columns of mixed", projections.Mixed.Columns, $"width of q | k | v of {shape}", shape.Channels);
        Require.Equal(Op, "rows of z", projections.Z.Rows, "rows of mixed", rows);
        Require.Equal(Op, "columns of z", projections.Z.Columns, "value channels", shape.ValueChannels);
        Require.Equal(Op, "rows of b", projections.B.Rows, "rows of mixed", rows);
        Require.Equal(Op, "columns of b", projections.B.Columns, "value heads", shape.ValueHeads);
        Require.Equal(Op, "rows of a", projections.A.Rows, "rows of mixed", rows);
        Require.Equal(Op, "columns of a", projections.A.Columns, "value heads", shape.ValueHeads);
        Require.Equal(Op, "rows of conv1d", parameters.Conv1d.Rows, "channels", shape.Channels);
        Require.Equal(Op, "columns of conv1d", parameters.Conv1d.Columns, "taps", DeltaParameters.Taps);
        Require.Equal(Op, "length of aLog", parameters.ALog.Length, "value heads", shape.ValueHeads);
        Require.Equal(Op, "length of dtBias", parameters.DtBias.Length, "value heads", shape.ValueHeads);
        Require.Equal(Op, "length of norm", parameters.Norm.Length, "the value head size", shape.ValueHeadDim);
        Require.That(
            Op,
            ((IContiguousArrayView)parameters.Norm).IndexInBytes % 16 == 0,
            $"norm starts at byte {((IContiguousArrayView)parameters.Norm).IndexInBytes}, not at a word of four floats");
        step.Check(Op, "rows of mixed", rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of mixed", rows);
        Require.Equal(Op, "columns of y", y.Columns, "value channels", shape.ValueChannels);
    }
}

/// <summary>
/// Rows that a step computed but did not yet add to the states, and how many of them are to be added before the next step's:
/// of each row and value head its normalised key, d = β (v − e^g Sᵀ k) and e^g, which make S ← e^g S + k dᵀ.
/// </summary>
/// <param name="rows">[slots, <see cref="Columns"/>]; per slot [Hv, <see cref="DeltaStep.MaxRows"/>, Dk + Dv + 4].</param>
/// <param name="accepted">[slots]: leading rows of the slot's last step that hold; 0 after a prefill or a rewound slot.</param>
internal readonly struct DeltaStash(Matrix<float> rows, ArrayView<int> accepted)
{
    public readonly Matrix<float> Rows = rows;
    public readonly ArrayView<int> Accepted = accepted;

    /// <summary>Floats of one slot.</summary>
    public static int Columns(DeltaShape shape) => shape.ValueHeads * DeltaStep.MaxRows * RowFloats(shape);

    /// <summary>Floats of one row of one head: key, d, decay and three of padding.</summary>
    public static int RowFloats(DeltaShape shape) => shape.KeyHeadDim + shape.ValueHeadDim + 4;
}
