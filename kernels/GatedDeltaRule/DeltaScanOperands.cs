using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Where a scan's sequences lie and what it writes. SnapshotSlot: per chunk a slot or −1; without snapshots any view. Y: [T, Hv · Dv].
/// </summary>
internal readonly struct DeltaScanOperands(
    ArrayView<int> firstRow,
    ArrayView<int> positions,
    ArrayView<int> stateSlot,
    ArrayView<int> snapshotSlot,
    bool snapshots,
    Matrix<float> y)
{
    public readonly ArrayView<int> FirstRow = firstRow;
    public readonly ArrayView<int> Positions = positions;
    public readonly ArrayView<int> StateSlot = stateSlot;
    public readonly ArrayView<int> SnapshotSlot = snapshotSlot;
    public readonly int Snapshots = snapshots ? 1 : 0;
    public readonly Matrix<float> Y = y;
}
