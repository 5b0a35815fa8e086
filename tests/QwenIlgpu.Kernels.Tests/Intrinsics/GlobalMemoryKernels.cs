using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Every load past L1: y [4, threads] are the words of x, plain, hinted to leave L2 first,
/// hinted to leave it last, and those of even threads alone, the others' left as they were.
/// </summary>
internal readonly struct GlobalLoadKernel(ArrayView<UInt4> x, ArrayView<UInt4> y) : IGroupKernel
{
    public static void Loads(GlobalLoadKernel kernel) => kernel.Execute();

    public void Execute()
    {
        int threads = Grid.DimX * Group.DimX;
        int thread = Grid.GlobalIndex.X;
        GlobalLoad.PrefetchL2(ref x[thread]);
        y[thread] = GlobalLoad.Streaming(ref x[thread]);
        y[threads + thread] = GlobalLoad.Streaming(ref x[thread], CachePolicy.EvictFirst());
        y[(2 * threads) + thread] = GlobalLoad.Streaming(ref x[thread], CachePolicy.EvictLast());
        UInt4 even = GlobalLoad.StreamingIf(ref x[thread], (thread & 1) == 0);
        if ((thread & 1) == 0)
            y[(3 * threads) + thread] = even;
    }
}

/// <summary>
/// Every access of a scope, each thread at words of its own. x: [n]; places: [4, n], read, stored, added to, and fetched and added to;
/// sums: [n], added to; y: [3, n], what was read, what was fetched, and the same of shared memory.
/// </summary>
internal readonly struct ScopeKernel(ArrayView<int> x, ArrayView<int> places, ArrayView<long> sums, ArrayView<int> y) : IGroupKernel
{
    public static void Scopes(ScopeKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(32);
        int n = (int)x.Length;
        for (int i = Grid.GlobalIndex.X; i < n; i += Grid.DimX * Group.DimX)
        {
            int value = x[i];
            y[i] = DeviceScope.LoadAcquire(ref places[i]);
            DeviceScope.StoreRelease(ref places[n + i], value);
            DeviceScope.Fence();
            DeviceScope.AddRelease(ref places[(2 * n) + i], value);
            y[n + i] = DeviceScope.FetchAdd(ref places[(3 * n) + i], value);
            DeviceScope.Add(ref sums[i], (long)value << 20);
            shared[Group.IdxX] = y[i];
            y[(2 * n) + i] = GroupScope.FetchAdd(ref shared[Group.IdxX], value) ^ shared[Group.IdxX];
        }
    }
}

/// <summary>
/// The last of the groups to take a ticket adds what all of them stored. partial: [groups]; state: ticket counter, a flag that the last
/// group releases, a count of groups; y: the sum.
/// </summary>
internal readonly struct TicketKernel(ArrayView<int> partial, ArrayView<int> state, ArrayView<int> y) : IGroupKernel
{
    public static void Tickets(TicketKernel kernel) => kernel.Execute();

    public void Execute()
    {
        if (Group.IdxX != 0)
            return;
        partial[Grid.IdxX] = (Grid.IdxX + 1) * (Grid.IdxX + 1);
        DeviceScope.AddRelease(ref state[2], 1);
        DeviceScope.Fence();
        if (DeviceScope.FetchAdd(ref state[0], 1) != Grid.DimX - 1)
            return;
        int sum = 0;
        for (int i = 0; i < Grid.DimX; i++)
            sum += DeviceScope.LoadAcquire(ref partial[i]);
        DeviceScope.StoreRelease(ref state[1], 17);
        y[0] = sum;
    }
}

/// <summary>
/// Every thread takes one of its group's tickets, and adds x to a sum of 64 bits. tickets: [groups, threads], 1 where a ticket was taken;
/// x: [threads]; sum: [1].
/// </summary>
internal readonly struct SumKernel(ArrayView<int> tickets, ArrayView<long> x, ArrayView<long> sum) : IGroupKernel
{
    public static void Sums(SumKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<int> counter = SharedMemory.Allocate<int>(2);
        if (Group.IdxX == 0)
            counter[1] = 0;
        Group.Barrier();
        int ticket = GroupScope.FetchAdd(ref counter[1], 1);
        tickets[(Grid.IdxX * Group.DimX) + ticket] = 1;
        DeviceScope.Add(ref sum[0], x[Group.IdxX]);
    }
}

/// <summary>Stores 1 between the two halves of programmatic dependent launch. For sm_90.</summary>
internal readonly struct GridDependencyKernel(ArrayView<int> y) : IGroupKernel
{
    public static void Dependencies(GridDependencyKernel kernel) => kernel.Execute();

    public void Execute()
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        y[Group.IdxX] = 1;
    }
}
