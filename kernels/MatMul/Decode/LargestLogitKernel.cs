using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// ids[m] = the token that ranks first among best[m, …], −1 where there is none; one row a group. best: [M, units] of
/// <see cref="RankedToken"/>; ids: [M].
/// </summary>
[LaunchBounds(GroupSize)]
internal readonly struct LargestLogitKernel(Matrix<ulong> best, ArrayView<int> ids) : IGroupKernel
{
    private const int GroupSize = 256;

    public KernelConfig Config => new(best.Rows, GroupSize);

    public static void LargestLogit(LargestLogitKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<ulong> ranks = SharedMemory.Allocate<ulong>(GroupSize);
        ArrayView<ulong> row = best.Row(Grid.IdxX);
        ulong rank = RankedToken.None;
        for (int i = Group.IdxX; i < row.Length; i += GroupSize)
            rank = row[i] > rank ? row[i] : rank;
        ranks[Group.IdxX] = rank;
        for (int half = GroupSize / 2; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (Group.IdxX < half && ranks[Group.IdxX + half] > ranks[Group.IdxX])
                ranks[Group.IdxX] = ranks[Group.IdxX + half];
        }

        if (Group.IdxX == 0)
            ids[Grid.IdxX] = ranks[0] == RankedToken.None ? DrawnId.Nothing : RankedToken.Id(ranks[0]);
    }
}
