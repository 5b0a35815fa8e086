using System.Numerics;

namespace QwenIlgpu.PtxMachine;

/// <summary>Where the sites of a launch may reach in shared memory: the array that an address is made from, or all of it.</summary>
internal sealed class SharedBounds
{
    private readonly (int Start, int End)[][] places;

    public SharedBounds(Program program, GridShape shape, int sharedBytes)
    {
        (int, int)[] arrays = [.. program.Shared.Places.Select(p => p.Array.IsDynamic
            ? (p.Offset, p.Offset + (int)shape.DynamicSharedBytes)
            : (p.Offset, p.Offset + p.Array.Bytes))];
        places = [.. program.Sites.Select(site => site.Origins == 0
            ? new[] { (0, sharedBytes) }
            : arrays.Where((_, i) => (site.Origins >> i & 1) != 0).ToArray())];
        PieceBytes = program.Sites.Where(s => s.Space == MemorySpace.Shared).Select(s => s.ElementBytes).Append(4).Min();
    }

    /// <summary>The smallest access of any site, at most 4 bytes.</summary>
    public int PieceBytes { get; }

    public ReadOnlySpan<(int Start, int End)> Of(AccessSite site) => places[site.Index];
}

/// <summary>
/// Who wrote and read each piece of a group's shared memory since the last barrier, which bytes were ever written, and where asynchronous
/// copies may still land.
/// </summary>
internal sealed class SharedShadow(Launch launch)
{
    /// <summary>Pieces of so many bytes are written or not where a copy took them from: the smallest numbers that kernels compute with.</summary>
    public const int CopiedBytes = sizeof(ushort);

    private readonly int pieceBytes = launch.SharedArrays.PieceBytes;
    private readonly Piece[] pieces = launch.Options.Sanitizes ? new Piece[(launch.SharedBytes / launch.SharedArrays.PieceBytes) + 1] : [];
    private readonly bool[] written = launch.Options.Sanitizes ? new bool[launch.SharedBytes] : [];

    public void Clear()
    {
        Array.Clear(pieces);
        Array.Clear(written);
    }

    /// <summary>Checks what the lanes are about to do and notes it; yields those that may go on.</summary>
    public unsafe uint Check(Warp warp, AccessSite site, ulong* addresses, uint lanes)
    {
        uint good = AreInside(site, addresses, lanes) ? lanes : Inside(warp, site, addresses, lanes);
        launch.Counters?.CountShared(site, addresses, good);
        if (!launch.Options.Sanitizes)
            return good;
        for (uint left = good; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            Note(warp, site, (int)addresses[lane], lane);
        }

        return good;
    }

    /// <summary>A copy into these bytes is under way, or has landed.</summary>
    public void SetPending(int address, int bytes, bool isPending)
    {
        for (int piece = address / pieceBytes; piece <= (address + bytes - 1) / pieceBytes; piece++)
            pieces[piece].Pending += isPending ? 1 : -1;
    }

    /// <summary>What was just written there is as good as nothing.</summary>
    public void Forget(int address, int bytes)
    {
        if (written.Length > 0)
            written.AsSpan(address, bytes).Clear();
    }

    /// <summary>A copy of this thread has landed: it wrote the bytes just now, but for the pieces whose source nothing wrote.</summary>
    public void Landed(Warp warp, int address, int bytes, int lane, uint unwrittenPieces)
    {
        for (int i = 0; i < bytes; i++)
            written[address + i] = (unwrittenPieces >> (i / CopiedBytes) & 1) == 0;
        Stamp now = Now(warp, lane);
        for (int piece = address / pieceBytes; piece <= (address + bytes - 1) / pieceBytes; piece++)
            pieces[piece].Write = now;
    }

    private static Stamp Now(Warp warp, int lane) => new(warp.Group.Epoch + 1, warp.Epoch, (short)warp.Thread(lane));

    // Of one array, as most sites have it, without a look at each lane.
    private unsafe bool AreInside(AccessSite site, ulong* addresses, uint lanes)
    {
        ReadOnlySpan<(int Start, int End)> places = launch.SharedArrays.Of(site);
        if (places.Length != 1 || lanes == 0)
            return false;
        GlobalAccess.Span(addresses, lanes, out ulong low, out ulong high, out ulong bits);
        (int start, int end) = places[0];
        return low >= (ulong)start && high < (ulong)end && high + (ulong)site.Bytes <= (ulong)end && (bits & (ulong)(site.Bytes - 1)) == 0;
    }

    private unsafe uint Inside(Warp warp, AccessSite site, ulong* addresses, uint lanes)
    {
        ReadOnlySpan<(int Start, int End)> places = launch.SharedArrays.Of(site);
        uint good = 0;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            if (IsInside(warp, site, places, addresses[lane], lane))
                good |= 1u << lane;
        }

        return good;
    }

    private bool IsInside(Warp warp, AccessSite site, ReadOnlySpan<(int Start, int End)> places, ulong address, int lane)
    {
        if ((address & (ulong)(site.Bytes - 1)) != 0)
        {
            launch.Report(
                FaultKind.Misaligned, warp, site.Line, 1u << lane, $"shared byte {address} is no multiple of the {site.Bytes} bytes of the access");
            return false;
        }

        foreach ((int start, int end) in places)
        {
            if (address >= (ulong)start && address < (ulong)end && address + (ulong)site.Bytes <= (ulong)end)
                return true;
        }

        string arrays = string.Join(" or ", places.ToArray().Select(p => $"[{p.Start}, {p.End})"));
        launch.Report(
            FaultKind.OutOfBounds, warp, site.Line, 1u << lane,
            $"{site.Bytes} bytes at shared byte {(long)address} are not in the array that the address is made from: {arrays}");
        return false;
    }

    private void Note(Warp warp, AccessSite site, int address, int lane)
    {
        Stamp now = Now(warp, lane);
        for (int i = address / pieceBytes; i <= (address + site.Bytes - 1) / pieceBytes; i++)
        {
            ref Piece piece = ref pieces[i];
            if (piece.Pending != 0)
                Report(FaultKind.PendingCopy, warp, site, lane, address, "an asynchronous copy may still land there: wait for it first");
            if (piece.Write.IsUnordered(now))
                ReportRace(warp, site, lane, address, piece.Write, "wrote");
            if (piece.Atomic.IsUnordered(now) && site.Kind != AccessKind.Atomic)
                ReportRace(warp, site, lane, address, piece.Atomic, "wrote");
            if (site.Kind == AccessKind.Read)
            {
                piece.NoteReader(now);
                continue;
            }

            if (piece.UnorderedReader(now) is { } reader)
                ReportRace(warp, site, lane, address, reader, "read");
            if (site.Kind == AccessKind.Atomic)
                piece.Atomic = now;
            else
                piece.Write = now;
        }

        for (int at = address; site.Kind != AccessKind.Write && at < address + site.Bytes; at += site.ElementBytes)
        {
            if (written.AsSpan(at, site.ElementBytes).Contains(false))
                warp.NoteUnwritten(lane, (at - address) / site.ElementBytes, site.Line, $"shared byte {at}");
        }

        if (site.Kind != AccessKind.Read)
            written.AsSpan(address, site.Bytes).Fill(true);
    }

    private void ReportRace(Warp warp, AccessSite site, int lane, int address, Stamp other, string did)
    {
        FaultKind kind = other.Thread / Warp.Lanes == warp.Number ? FaultKind.WarpRace : FaultKind.SharedRace;
        Report(kind, warp, site, lane, address, $"thread {other.Thread} {did} it since the last barrier");
    }

    private void Report(FaultKind kind, Warp warp, AccessSite site, int lane, int address, string message) =>
        launch.Report(kind, warp, site.Line, 1u << lane, $"shared byte {address}: {message}");

    private struct Piece
    {
        public Stamp Write;
        public Stamp Atomic;
        public int Pending;
        private Stamp read;

        // Whether the last reader's warp has others that read since its own last barrier; and one of another warp, counted from 1.
        private bool hasNeighbours;
        private short otherWarps;

        public void NoteReader(Stamp now)
        {
            if (read.Epoch != now.Epoch)
                otherWarps = 0;
            else if (!read.IsOfWarp(now))
                otherWarps = (short)(read.Thread + 1);
            hasNeighbours = read.IsTogether(now) && (hasNeighbours || read.Thread != now.Thread);
            read = now;
        }

        /// <summary>A reader that nothing orders before this write, or null.</summary>
        public readonly Stamp? UnorderedReader(Stamp write)
        {
            if (read.IsUnordered(write) || (hasNeighbours && read.IsTogether(write)))
                return read;
            return read.Epoch == write.Epoch && otherWarps != 0 ? read with { Thread = (short)(otherWarps - 1) } : null;
        }
    }

    // The epoch counts from 1, so that nothing is of epoch 0.
    private readonly record struct Stamp(int Epoch, int WarpEpoch, short Thread)
    {
        /// <summary>Whether nothing orders this access before that one of the same group.</summary>
        public bool IsUnordered(Stamp later) => Epoch == later.Epoch && Thread != later.Thread
            && (!IsOfWarp(later) || WarpEpoch == later.WarpEpoch);

        public bool IsOfWarp(Stamp other) => Thread / Warp.Lanes == other.Thread / Warp.Lanes;

        /// <summary>Whether both are of one warp, with no barrier between.</summary>
        public bool IsTogether(Stamp other) => Epoch == other.Epoch && IsOfWarp(other) && WarpEpoch == other.WarpEpoch;
    }
}
