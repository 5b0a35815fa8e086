using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>What <see cref="DeltaInputsKernel{THead}"/> reads of a layer and a step, and the ring that it advances.</summary>
internal readonly struct DeltaInputsOperands(
    DeltaProjections projections,
    DeltaParameters parameters,
    Matrix<float> ring,
    int ringRows,
    ArrayView<int> firstRow,
    ArrayView<int> positions,
    ArrayView<int> stateSlot)
{
    public readonly Matrix<Float4> Mixed = Float4.Words(DeltaPrefill.Op, "mixed", projections.Mixed);
    public readonly Matrix<float> B = projections.B;
    public readonly Matrix<float> A = projections.A;
    public readonly Matrix<Float4> Conv1d = Float4.Words(DeltaPrefill.Op, "conv1d", parameters.Conv1d);
    public readonly ArrayView<float> ALog = parameters.ALog;
    public readonly ArrayView<float> DtBias = parameters.DtBias;
    public readonly Matrix<Float4> Ring = Float4.Words(DeltaPrefill.Op, "ring", ring);
    public readonly int RingRows = ringRows;
    public readonly ArrayView<int> FirstRow = firstRow;
    public readonly ArrayView<int> Positions = positions;
    public readonly ArrayView<int> StateSlot = stateSlot;
}
