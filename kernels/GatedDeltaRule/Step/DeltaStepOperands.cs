using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>What <see cref="DeltaStep"/> reads and writes row by row, as its kernel takes it.</summary>
internal readonly struct DeltaStepOperands(DeltaProjections projections, DeltaParameters parameters, SlotRows rows, Matrix<float> y)
{
    public readonly Matrix<float> Mixed = projections.Mixed;
    public readonly Matrix<Float4> Z = Float4.Words(DeltaStep.Op, "z", projections.Z);
    public readonly Matrix<float> B = projections.B;
    public readonly Matrix<float> A = projections.A;
    public readonly Matrix<Float4> Conv1d = Float4.Words(DeltaStep.Op, "conv1d", parameters.Conv1d);
    public readonly ArrayView<float> ALog = parameters.ALog;
    public readonly ArrayView<float> DtBias = parameters.DtBias;
    public readonly ArrayView<Float4> Norm = parameters.Norm.Cast<Float4>();
    public readonly ArrayView<int> FirstRow = rows.FirstRow;
    public readonly ArrayView<int> Positions = rows.Positions;
    public readonly ArrayView<int> StateSlot = rows.StateSlot;
    public readonly Matrix<Float4> Y = Float4.Words(DeltaStep.Op, "y", y);
    public readonly float Eps = parameters.Eps;
}

/// <summary>How a step treats its rows: as final, or kept in a stash. An operand that a mode does not use may hold anything.</summary>
internal readonly struct DeltaStepDrafts(Matrix<Float4> stash, ArrayView<int> accepted, bool kept, int ringRows)
{
    public readonly Matrix<Float4> Stash = stash;
    public readonly ArrayView<int> Accepted = accepted;
    public readonly int Kept = kept ? 1 : 0;
    public readonly int RingRows = ringRows;

    /// <summary>Rows of a sequence in one step: so many that the ring keeps the three before them.</summary>
    public readonly int MaxRows = Math.Min(DeltaStep.MaxRows, ringRows - DeltaParameters.Taps + 1);
}
