using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// Where each site of a launch may reach: the view of the operand that its address is made from, or that operand's allocation. An address
/// of unknown origin may lie in any allocation.
/// </summary>
internal sealed unsafe class GlobalAccess : IDisposable
{
    private const ulong MostNegativeSteps = 1 << 24;

    private readonly Launch launch;
    private readonly Place[] places;
    private readonly SiteState[] states;
    private readonly List<RaceRegion> regions = [];

    public GlobalAccess(Launch launch)
    {
        this.launch = launch;
        Program program = launch.Program;
        places = [.. program.Pointers.Select(PlaceOf)];
        states = [.. program.Sites.Select(StateOf)];
        if (launch.Options.Sanitizes)
            WatchWhatIsWritten(program.Sites);
    }

    /// <summary>Checks what the lanes are about to do and notes it; yields those that may go on.</summary>
    public uint Check(Warp warp, AccessSite site, ulong* addresses, uint lanes)
    {
        SiteState state = states[site.Index];
        Span(addresses, lanes, out ulong low, out ulong high, out ulong bits);
        bool isPlain = state.Only is { } only && low >= only.Start && high < only.End && high + (ulong)site.Bytes <= only.End && (bits & (ulong)(site.AlignmentBytes - 1)) == 0;
        if (!isPlain)
            lanes = CheckEach(warp, site, state, addresses, lanes);
        launch.Counters?.CountGlobal(site, addresses, lanes);
        if (lanes == 0 || !launch.Options.Sanitizes)
            return lanes;
        NoteWritten(warp, site, isPlain ? state.Only!.Allocation : null, addresses, lanes);
        foreach (RaceRegion region in state.Watches)
            region.Access(warp, site, addresses, lanes);
        return lanes;
    }

    /// <summary>Which operand an address belongs to, and where in it.</summary>
    public string Describe(ulong address)
    {
        foreach (Place place in places)
        {
            if (address >= place.Start && address < place.End)
                return $"byte {address - place.Start} of the {place.Name}";
        }

        return launch.Memory.Find(address) is { } allocation ? $"byte {address - allocation.Start} of an allocation" : "no allocation";
    }

    public void Dispose() => regions.ForEach(r => r.Dispose());

    internal static void Span(ulong* addresses, uint lanes, out ulong low, out ulong high, out ulong bits)
    {
        if (lanes == Warp.AllLanes)
        {
            Vector512<ulong> least = Vector512.Load(addresses);
            Vector512<ulong> most = least;
            Vector512<ulong> any = least;
            for (int i = Vector512<ulong>.Count; i < Warp.Lanes; i += Vector512<ulong>.Count)
            {
                Vector512<ulong> next = Vector512.Load(addresses + i);
                least = Vector512.Min(least, next);
                most = Vector512.Max(most, next);
                any |= next;
            }

            (low, high, bits) = (ulong.MaxValue, 0, 0);
            for (int i = 0; i < Vector512<ulong>.Count; i++)
            {
                low = Math.Min(low, least[i]);
                high = Math.Max(high, most[i]);
                bits |= any[i];
            }

            return;
        }

        (low, high, bits) = (ulong.MaxValue, 0, 0);
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            ulong address = addresses[BitOperations.TrailingZeroCount(left)];
            low = Math.Min(low, address);
            high = Math.Max(high, address);
            bits |= address;
        }
    }

    private uint CheckEach(Warp warp, AccessSite site, SiteState state, ulong* addresses, uint lanes)
    {
        uint good = 0;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong address = addresses[lane];
            if ((address & (ulong)(site.AlignmentBytes - 1)) != 0)
            {
                launch.Report(
                    FaultKind.Misaligned, warp, site.Line, 1u << lane,
                    $"0x{address:x} ({Describe(address)}) is no multiple of the {site.AlignmentBytes} bytes of the access");
            }
            else if (!state.Reaches(launch.Memory, address, site.Bytes))
            {
                ReportOutside(warp, site, state, address, lane);
            }
            else
            {
                good |= 1u << lane;
            }
        }

        return good;
    }

    private void ReportOutside(Warp warp, AccessSite site, SiteState state, ulong address, int lane)
    {
        foreach (Place place in state.Places)
        {
            // A negative index as unsigned is its distance from 2^32, in elements of some size.
            for (ulong element = 1; element <= 64; element *= 2)
            {
                ulong offset = address - place.Start;
                ulong wrap = (element << 32) - offset;
                if (offset >= element << 31 && offset < element << 32 && wrap <= MostNegativeSteps * element)
                {
                    launch.Report(
                        FaultKind.NegativeIndex, warp, site.Line, 1u << lane,
                        $"0x{address:x} is {wrap} bytes before the {place.Name}, its negative 32-bit index widened as unsigned");
                    return;
                }
            }
        }

        string reach = state.Places.Count == 0 ? "no operand is known" : string.Join(
            " or ", state.Places.Select(p => $"the {p.Name}, [0x{p.Start:x}, 0x{p.End:x})"));
        launch.Report(
            FaultKind.OutOfBounds, warp, site.Line, 1u << lane,
            $"{site.Bytes} bytes at 0x{address:x} ({Describe(address)}) are not in what the address is made from: {reach}");
    }

    private void NoteWritten(Warp warp, AccessSite site, Allocation? allocation, ulong* addresses, uint lanes)
    {
        if (allocation is { IsAllWritten: true })
            return;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            Allocation? of = allocation ?? launch.Memory.Find(addresses[lane]);
            if (of is null || of.IsAllWritten)
                continue;
            if (site.Kind != AccessKind.Write && !of.IsWritten(addresses[lane], site.Bytes))
                NoteUnwritten(warp, site, of, lane, addresses[lane]);

            if (site.Kind != AccessKind.Read)
                of.MarkStored(addresses[lane], site.Bytes);
        }
    }

    private void NoteUnwritten(Warp warp, AccessSite site, Allocation allocation, int lane, ulong address)
    {
        for (int offset = 0; offset < site.Bytes; offset += site.ElementBytes)
        {
            ulong at = address + (ulong)offset;
            int bytes = Math.Min(site.ElementBytes, site.Bytes - offset);
            if (!allocation.IsWritten(at, bytes))
                warp.NoteUnwritten(lane, offset / site.ElementBytes, site.Line, $"{bytes} bytes at 0x{at:x} ({Describe(at)})");
        }
    }

    private Place PlaceOf(PointerOrigin pointer)
    {
        ulong start = *(ulong*)(launch.Parameters + pointer.ParameterOffset);
        string name = $"operand at parameter byte {pointer.ParameterOffset}";
        Allocation? allocation = launch.Memory.Find(start);
        if (pointer.ViewElementBytes == 0)
            return new Place(name, start, allocation?.End ?? start, allocation);
        ulong length = *(ulong*)(launch.Parameters + pointer.ParameterOffset + sizeof(ulong));
        ulong end = start + (length * (ulong)pointer.ViewElementBytes);
        bool isInside = allocation is not null && end <= allocation.End;
        return new Place(name, start, isInside ? end : start, allocation);
    }

    private SiteState StateOf(AccessSite site)
    {
        if (site.Space != MemorySpace.Global)
            return new SiteState(site, []);
        return new SiteState(site, [.. places.Where((_, i) => (site.Origins >> i & 1) != 0)]);
    }

    // Only memory that some site of the launch writes can be raced for.
    private void WatchWhatIsWritten(IReadOnlyList<AccessSite> sites)
    {
        AccessSite[] all = [.. sites.Where(s => s.Space == MemorySpace.Global)];
        IEnumerable<Place> written = all.Where(s => s.Kind != AccessKind.Read).SelectMany(s => states[s.Index].Places).Where(p => p.End > p.Start);
        var spans = new List<(ulong Start, ulong End)>();
        foreach (Place place in written.OrderBy(p => p.Start))
        {
            if (spans.Count > 0 && place.Start < spans[^1].End)
                spans[^1] = (spans[^1].Start, Math.Max(spans[^1].End, place.End));
            else
                spans.Add((place.Start, place.End));
        }

        foreach ((ulong start, ulong end) in spans)
        {
            SiteState[] touching = [.. all.Select(s => states[s.Index]).Where(s => s.Places.Any(p => p.Start < end && start < p.End))];
            var region = new RaceRegion(launch, start, end, touching.Min(s => s.Site.ElementBytes));
            regions.Add(region);
            foreach (SiteState state in touching)
                state.Watches.Add(region);
        }
    }

    private sealed record Place(string Name, ulong Start, ulong End, Allocation? Allocation);

    private sealed class SiteState(AccessSite site, IReadOnlyList<Place> places)
    {
        public AccessSite Site { get; } = site;

        public IReadOnlyList<Place> Places { get; } = places;

        public Place? Only { get; } = places.Count == 1 ? places[0] : null;

        public List<RaceRegion> Watches { get; } = [];

        public bool Reaches(DeviceMemory memory, ulong address, int bytes)
        {
            ulong end = address + (ulong)bytes;
            if (Places.Count == 0)
                return memory.Find(address) is { } allocation && end <= allocation.End;
            foreach (Place place in Places)
            {
                if (address >= place.Start && address < place.End && end <= place.End)
                    return true;
            }

            return false;
        }
    }
}
