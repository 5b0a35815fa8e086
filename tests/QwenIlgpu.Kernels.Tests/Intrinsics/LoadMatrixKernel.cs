using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Every ldmatrix of a warp, which each group is. rows: of each group 32 rows of eight 16-bit elements; order[lane]: the row that a lane
/// names; y: [group, lane, 8 words]: four as they are, four transposed.
/// </summary>
internal readonly struct LoadMatrixKernel(ArrayView<UInt4> rows, ArrayView<int> order, ArrayView<uint> y) : IGroupKernel
{
    public const int Words = 8;

    public ArrayView<uint> Results => y;

    public static void Matrices(LoadMatrixKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(32);
        int lane = Group.IdxX;
        shared[lane] = rows[Grid.GlobalIndex.X];
        Group.Barrier();
        int row = order[lane];
        UInt4 four = LoadMatrix.X4(ref shared[row]);
        UInt4 fourTransposed = LoadMatrix.X4Transposed(ref shared[row]);
        int at = Grid.GlobalIndex.X * Words;
        Store(at, four);
        Store(at + 4, fourTransposed);
    }

    private void Store(int at, UInt4 words)
    {
        y[at] = words.X;
        y[at + 1] = words.Y;
        y[at + 2] = words.Z;
        y[at + 3] = words.W;
    }
}
