using System.Numerics;

namespace QwenIlgpu.PtxMachine;

/// <summary>Counts while a launch runs; any thread may count.</summary>
internal sealed unsafe class LaunchCounters(Program program)
{
    private const int SectorBytes = 32;
    private const int Banks = 32;
    private const int BankBytes = 4;

    private readonly Lock gate = new();
    private readonly long[] runs = new long[program.Blocks.Length];
    private long requests;
    private long sectors;
    private long minimalSectors;
    private long sharedRequests;
    private long sharedPasses;
    private long conflicts;

    public void Count(int block, uint active)
    {
        if (active != 0)
            Interlocked.Increment(ref runs[block]);
    }

    public void CountGlobal(AccessSite site, ulong* addresses, uint lanes)
    {
        if (lanes == 0)
            return;
        ulong* touched = stackalloc ulong[Warp.Lanes];
        int distinct = Distinct(addresses, lanes, touched);
        var found = new Span<ulong>(touched, distinct);
        found.Sort();
        long count = 0;
        ulong last = ulong.MaxValue;
        foreach (ulong address in found)
        {
            for (ulong sector = address / SectorBytes; sector <= (address + (ulong)site.Bytes - 1) / SectorBytes; sector++)
            {
                count += sector != last ? 1 : 0;
                last = sector;
            }
        }

        lock (gate)
        {
            requests++;
            sectors += count;
            minimalSectors += ((distinct * site.Bytes) + SectorBytes - 1) / SectorBytes;
        }
    }

    /// <summary>A phase serves 128 bytes: 32 lanes of 4 bytes, 16 of 8, 8 of 16 (the rows of one matrix of <c>ldmatrix</c>).</summary>
    public void CountShared(AccessSite site, ulong* addresses, uint lanes)
    {
        if (lanes == 0)
            return;
        int phaseLanes = Math.Min(Warp.Lanes, Banks * BankBytes / Math.Max(site.Bytes, BankBytes));
        long passes = 0;
        long phases = 0;
        for (int first = 0; first < Warp.Lanes; first += phaseLanes)
        {
            uint phase = lanes >> first & (phaseLanes == Warp.Lanes ? uint.MaxValue : (1u << phaseLanes) - 1);
            if (phase == 0)
                continue;
            phases++;
            passes += PassesOf(site, addresses + first, phase);
        }

        lock (gate)
        {
            sharedRequests++;
            sharedPasses += passes;
            conflicts += passes - phases;
        }
    }

    public LaunchCounts Total()
    {
        var instructions = Enum.GetValues<InstructionClass>().ToDictionary(c => c, _ => 0L);
        for (int i = 0; i < runs.Length; i++)
        {
            foreach (Instruction instruction in program.Blocks[i].Body)
                instructions[instruction.Class] += runs[i];
            instructions[InstructionClass.Branch] += program.Blocks[i].Exit is Terminator.Jump { Line: 0 } ? 0 : runs[i];
        }

        return new LaunchCounts(instructions, requests, sectors, minimalSectors, sharedRequests, sharedPasses, conflicts, LinesRun());
    }

    private HashSet<int> LinesRun() =>
        [.. program.Blocks.Where((_, i) => runs[i] > 0).SelectMany(b => b.Body.Select(s => s.Line).Append(b.Exit.Line)).Where(l => l > 0)];

    private static int Distinct(ulong* addresses, uint lanes, ulong* found)
    {
        int count = 0;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            ulong address = addresses[BitOperations.TrailingZeroCount(left)];
            if (!new ReadOnlySpan<ulong>(found, count).Contains(address))
                found[count++] = address;
        }

        return count;
    }

    // The most different words that one bank has to give.
    private static int PassesOf(AccessSite site, ulong* addresses, uint lanes)
    {
        ulong* words = stackalloc ulong[4 * Warp.Lanes];
        int* inBank = stackalloc int[Banks];
        new Span<int>(inBank, Banks).Clear();
        int count = 0;
        int most = 1;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            ulong first = addresses[BitOperations.TrailingZeroCount(left)] / BankBytes;
            for (ulong word = first; word < first + (ulong)Math.Max(site.Bytes / BankBytes, 1); word++)
            {
                if (new ReadOnlySpan<ulong>(words, count).Contains(word))
                    continue;
                words[count++] = word;
                most = Math.Max(most, ++inBank[word % Banks]);
            }
        }

        return most;
    }
}
