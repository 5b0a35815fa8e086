using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A group of threads: its warps, its shared memory, and the barrier they meet at. One after another uses the same memory.</summary>
internal sealed unsafe class Group : IDisposable
{
    private readonly Launch launch;
    private readonly Warp[] warps;
    private int ended;

    public Group(Launch launch)
    {
        this.launch = launch;
        Shared = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(launch.SharedBytes, 16), 256);
        Shadow = new SharedShadow(launch);
        warps = [.. Enumerable.Range(0, launch.GroupWarps).Select(i => new Warp(launch, this, i))];
    }

    public uint X { get; private set; }

    public uint Y { get; private set; }

    public uint Z { get; private set; }

    /// <summary>Its number in the grid.</summary>
    public int Index { get; private set; }

    public byte* Shared { get; }

    public SharedShadow Shadow { get; }

    /// <summary>Barriers that the group has passed.</summary>
    public int Epoch { get; private set; }

    /// <summary>What the group knows of the others' writes.</summary>
    public GroupKnowledge Knowledge { get; } = new();

    public bool IsDone => ended == warps.Length;

    public void Start(int index)
    {
        GridShape shape = launch.Shape;
        Index = index;
        X = (uint)index % shape.GridX;
        Y = (uint)index / shape.GridX % shape.GridY;
        Z = (uint)index / shape.GridX / shape.GridY;
        Epoch = 0;
        ended = 0;
        NativeMemory.Fill(Shared, (nuint)launch.SharedBytes, (byte)(launch.Options.Seed % 3 == 0 ? 0xff : HashCode.Combine(launch.Options.Seed, index)));
        Shadow.Clear();
        Knowledge.Clear();
        foreach (Warp warp in warps)
            warp.Start();
    }

    /// <summary>A warp that can run, or null; which of them depends on the number given.</summary>
    public Warp? Ready(int choice)
    {
        for (int i = 0; i < warps.Length; i++)
        {
            Warp warp = warps[(choice + i) % warps.Length];
            if (warp.State == WarpState.Ready)
                return warp;
        }

        return null;
    }

    /// <summary>A warp came to the barrier; the last one lets all go on.</summary>
    public void Arrive(Warp arrived, int line)
    {
        arrived.State = WarpState.AtBarrier;
        arrived.IsPaused = true;
        bool complete = true;
        foreach (Warp warp in warps)
        {
            if (warp.Live != warp.Existing)
            {
                launch.Fail(
                    FaultKind.ExitAtBarrier, warp, line, warp.Existing & ~warp.Live, "the thread has ended, and others of its group wait at this barrier");
            }

            complete &= warp.State == WarpState.AtBarrier && warp.Barrier == arrived.Barrier;
        }

        if (complete)
        {
            Epoch++;
            Knowledge.Share();
            foreach (Warp warp in warps)
                warp.State = WarpState.Ready;
        }
        else if (Ready(0) is null)
        {
            launch.Fail(FaultKind.Deadlock, arrived, line, 1, "every warp of the group waits, and not at the same barrier");
        }
    }

    /// <summary>A warp has no lanes left.</summary>
    public void WarpEnded()
    {
        ended++;
        foreach (Warp warp in warps)
        {
            if (warp.State == WarpState.AtBarrier)
            {
                launch.Fail(
                    FaultKind.ExitAtBarrier, warp, warp.BarrierLine, 1,
                    "it waits at this barrier, and another warp of its group has ended");
            }
        }
    }

    public void Dispose()
    {
        foreach (Warp warp in warps)
            warp.Dispose();
        NativeMemory.AlignedFree(Shared);
    }
}
