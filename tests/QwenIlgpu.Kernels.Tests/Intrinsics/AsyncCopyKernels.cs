using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Every asynchronous copy, by one warp a group. source: of each group 16-byte words [5, 32]; y: [5, 32] of what lies in shared memory
/// behind the waits: three plain copies, one hinted, one present or absent by the lane's last bit.
/// </summary>
internal readonly struct AsyncCopyKernel(ArrayView<UInt4> source, ArrayView<UInt4> y) : IGroupKernel
{
    public const int Results = 5;

    public static void Copies(AsyncCopyKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(Results * 32);
        int lane = Group.IdxX;
        int at = Grid.IdxX * Results * 32;
        ArrayView<UInt4> from = source.SubView(at, Results * 32);
        ArrayView<UInt4> to = y.SubView(at, Results * 32);
        for (int i = 0; i < Results; i++)
            shared[(i * 32) + lane] = new UInt4(1, 2, 3, 4);
        Group.Barrier();
        ulong policy = lane < 16 ? CachePolicy.EvictFirst() : CachePolicy.EvictLast();
        for (int i = 0; i < 3; i++)
        {
            AsyncCopy.Copy16(ref shared[(i * 32) + lane], ref from[(i * 32) + lane]);
            AsyncCopy.Commit();
        }

        AsyncCopy.Copy16Hinted(ref shared[96 + lane], ref from[96 + lane], policy);
        AsyncCopy.Commit();
        AsyncCopy.Copy16OrZero(ref shared[128 + lane], ref from[128 + lane], (lane & 1) == 0);
        AsyncCopy.Commit();
        AsyncCopy.Wait3();
        to[lane] = shared[lane];
        to[32 + lane] = shared[32 + lane];
        AsyncCopy.Wait1();
        to[64 + lane] = shared[64 + lane];
        to[96 + lane] = shared[96 + lane];
        AsyncCopy.Wait0();
        to[128 + lane] = shared[128 + lane];
    }
}

/// <summary>
/// Reads shared memory before, between and behind the waits for two groups and an uncommitted copy: y [4, 32] are the first group's word
/// before any wait, the first and the second behind a wait that leaves one group, and the uncommitted behind a wait that leaves none.
/// </summary>
internal readonly struct EarlyReadKernel(ArrayView<UInt4> source, ArrayView<UInt4> y) : IGroupKernel
{
    public static void EarlyReads(EarlyReadKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(96);
        int lane = Group.IdxX;
        AsyncCopy.Copy16(ref shared[lane], ref source[lane]);
        AsyncCopy.Commit();
        AsyncCopy.Copy16(ref shared[32 + lane], ref source[32 + lane]);
        AsyncCopy.Commit();
        AsyncCopy.Copy16(ref shared[64 + lane], ref source[64 + lane]);
        y[lane] = shared[lane];
        AsyncCopy.Wait1();
        y[32 + lane] = shared[lane];
        y[64 + lane] = shared[32 + lane];
        AsyncCopy.Wait0();
        y[96 + lane] = shared[64 + lane];
    }
}

/// <summary>Leaves a copy behind in every group, uncommitted, and commits and waits before it starts its own.</summary>
internal readonly struct LeftoverKernel(ArrayView<UInt4> source, ArrayView<UInt4> y) : IGroupKernel
{
    public static void Leftovers(LeftoverKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(64);
        int lane = Group.IdxX;
        int at = (Grid.IdxX * 32) + lane;
        AsyncCopy.Commit();
        AsyncCopy.Wait0();
        AsyncCopy.Copy16(ref shared[lane], ref source[at]);
        AsyncCopy.Commit();
        AsyncCopy.Copy16(ref shared[32 + lane], ref source[at]);
        AsyncCopy.Wait0();
        y[at] = shared[lane];
    }
}
