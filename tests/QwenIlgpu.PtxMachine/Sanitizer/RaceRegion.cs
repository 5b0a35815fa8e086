using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// Global memory that a launch writes: of each piece, as small as the smallest access to the region, who wrote it last and who read it
/// last. An access that nothing orders behind one of another group (or of another thread of the group, without a barrier between), one of
/// them a write, is a race; two atomics are none.
/// </summary>
internal sealed unsafe class RaceRegion(Launch launch, ulong start, ulong end, int pieceBytes) : IDisposable
{
    private const int ThreadBits = 10;
    private const int EpochBits = 24;

    // Stands for no thread in particular: only a barrier covers all of a group.
    private const int Anyone = -1;

    private readonly Lock gate = new();
    private readonly Cell* cells = (Cell*)NativeMemory.AllocZeroed((nuint)((end - start + (ulong)pieceBytes - 1) / (ulong)pieceBytes), (nuint)sizeof(Cell));

    public ulong Start { get; } = start;

    public ulong End { get; } = end;

    public void Access(Warp warp, AccessSite site, ulong* addresses, uint lanes)
    {
        lock (gate)
        {
            for (uint left = lanes; left != 0; left &= left - 1)
            {
                int lane = System.Numerics.BitOperations.TrailingZeroCount(left);
                if (addresses[lane] < Start || addresses[lane] >= End)
                    continue;
                ulong first = (addresses[lane] - Start) / (ulong)pieceBytes;
                ulong last = (addresses[lane] - Start + (ulong)site.Bytes - 1) / (ulong)pieceBytes;
                for (ulong piece = first; piece <= last; piece++)
                    Access(warp, site, lane, ref cells[piece], addresses[lane]);
            }
        }
    }

    public void Dispose() => NativeMemory.Free(cells);

    private void Access(Warp warp, AccessSite site, int lane, ref Cell cell, ulong address)
    {
        Group group = warp.Group;
        int thread = warp.Thread(lane);
        bool isAtomic = site.Kind == AccessKind.Atomic;
        var now = new Stamp(group.Index, group.Epoch, thread, isAtomic, HasNeighbours: false);
        if (cell.Write != 0 && Stamp.Of(cell.Write) is var write && !(write.IsAtomic && isAtomic) && !IsBefore(write, group, thread))
            Report(warp, site, lane, address, "written", write);
        if (site.Kind == AccessKind.Read)
        {
            // Several unordered readers: the one that is kept stands for all until somebody writes.
            if (cell.Read == 0 || Stamp.Of(cell.Read).Group == group.Index || IsBefore(Stamp.Of(cell.Read), group, thread))
                cell.Read = (now with { HasNeighbours = cell.Read != 0 && HasNeighbour(Stamp.Of(cell.Read), now) }).Bits;
            return;
        }

        if (cell.Read != 0 && Stamp.Of(cell.Read) is var read && !IsBefore(read, group, thread))
            Report(warp, site, lane, address, "read", read);

        // An atomic behind a plain write of its own thread does not make that one atomic.
        bool hidesPlain = cell.Write != 0 && Stamp.Of(cell.Write) is { IsAtomic: false } last && last.IsTogether(now);
        cell.Write = (now with { IsAtomic = isAtomic && !hidesPlain }).Bits;
    }

    private static bool HasNeighbour(Stamp reader, Stamp now) => reader.IsTogether(now) && (reader.HasNeighbours || reader.Thread != now.Thread);

    private static bool IsBefore(Stamp stamp, Group group, int thread) => stamp.Group == group.Index
        ? (stamp.Thread == thread && !stamp.HasNeighbours) || stamp.Epoch < group.Epoch
        : group.Knowledge.Covers(thread, stamp.Group, stamp.Epoch, stamp.HasNeighbours ? Anyone : stamp.Thread);

    private void Report(Warp warp, AccessSite site, int lane, ulong address, string done, Stamp other) => launch.Report(
        FaultKind.GlobalRace, warp, site.Line, 1u << lane,
        $"0x{address:x} ({launch.Access.Describe(address)}) was {done} by group {other.Group} thread {other.Thread} and nothing orders the two");

    private struct Cell
    {
        public ulong Write;
        public ulong Read;
    }

    /// <summary>An access; of a reader also whether others of its group read since the group's last barrier.</summary>
    private readonly record struct Stamp(int Group, int Epoch, int Thread, bool IsAtomic, bool HasNeighbours)
    {
        public ulong Bits => ((ulong)(Group + 1) << (ThreadBits + EpochBits + 2)) | ((ulong)Epoch << (ThreadBits + 2)) | ((ulong)Thread << 2)
            | (HasNeighbours ? 2u : 0u) | (IsAtomic ? 1u : 0u);

        public static Stamp Of(ulong bits) => new(
            (int)(bits >> (ThreadBits + EpochBits + 2)) - 1,
            (int)(bits >> (ThreadBits + 2)) & ((1 << EpochBits) - 1),
            (int)(bits >> 2) & ((1 << ThreadBits) - 1),
            (bits & 1) != 0,
            (bits & 2) != 0);

        /// <summary>Whether both are of one group, with no barrier between.</summary>
        public bool IsTogether(Stamp other) => Group == other.Group && Epoch == other.Epoch;
    }
}
