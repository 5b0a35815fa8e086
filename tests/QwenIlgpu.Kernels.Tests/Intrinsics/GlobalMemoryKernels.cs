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
        int threads = Group.DimX;
        int thread = Group.IdxX;
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
