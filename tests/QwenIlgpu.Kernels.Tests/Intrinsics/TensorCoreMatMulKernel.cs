using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// y = x · Wᵀ on the tensor cores. x: [M, K] and w: [N, K] in 16-byte words of eight 16-bit elements, y: [M, N] float. K is a multiple of
/// 8. A group of four warps computes 64 × 64 outputs, a warp 32 × 32; operands pass through shared memory in two stages of 32 k, one
/// arriving by cp.async while the other is multiplied.
/// </summary>
/// <remarks>
/// A stage holds 64 rows of x and 64 of w, each of four words, stored at place word ^ (row / 2 % 4): the eight rows that an ldmatrix
/// phase reads lie in eight different sets of banks. Rows past M or N and words past K arrive as zeros.
/// </remarks>
[LaunchBounds(128)]
internal readonly struct TensorCoreMatMulKernel<TOperand>(Matrix<UInt4> x, Matrix<UInt4> w, Matrix<float> y) : IGroupKernel
    where TOperand : struct, IOperand16
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 128;

    private const int Tile = 64;
    private const int WarpTileSize = 32;
    private const int StageWords = 4;                       // 32 k of a row
    private const int OperandWords = Tile * StageWords;     // of x or of w in one stage
    private const int Stage = 2 * OperandWords;

    /// <summary>One group per 64 × 64 outputs.</summary>
    public KernelConfig Config =>
        new(new Index3D((y.Columns + Tile - 1) / Tile, (y.Rows + Tile - 1) / Tile, 1), new Index3D(GroupSize, 1, 1));

    public static void TensorCoreMatMul(TensorCoreMatMulKernel<TOperand> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(2 * Stage);
        int firstRow = Grid.IdxY * Tile;
        int firstColumn = Grid.IdxX * Tile;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int warpRow = (warp & 1) * WarpTileSize;
        int warpColumn = (warp >> 1) * WarpTileSize;

        // What the lane names to ldmatrix. A: 16 rows of the left 8 k, then of the right; B: left and right 8 k of 8 rows, twice.
        int aRow = warpRow + (lane & 15);
        int aWord = lane >> 4;
        int bRow = warpColumn + (lane & 7) + ((lane >> 4) << 3);
        int bWord = (lane >> 3) & 1;

        int stages = (int)((uint)(x.Columns + StageWords - 1) / StageWords);
        WarpTile sums = default;
        LoadStage(shared, 0, firstRow, firstColumn);
        for (int stage = 0; stage < stages; stage++)
        {
            AsyncCopy.Wait0();
            Group.Barrier();                                // also: nobody still reads the stage that is overwritten now
            if (stage + 1 < stages)
                LoadStage(shared, stage + 1, firstRow, firstColumn);
            int start = (stage & 1) * Stage;
            for (int word = 0; word < StageWords; word += 2)
            {
                UInt4 above = LoadMatrix.X4(ref shared[start + Place(aRow, word + aWord)]);
                UInt4 below = LoadMatrix.X4(ref shared[start + Place(aRow + 16, word + aWord)]);
                UInt4 left = LoadMatrix.X4(ref shared[start + OperandWords + Place(bRow, word + bWord)]);
                UInt4 right = LoadMatrix.X4(ref shared[start + OperandWords + Place(bRow + 16, word + bWord)]);
                sums = sums.MultiplyAdd<TOperand>(above, below, left, right);
            }
        }

        Store(sums.M0, firstRow + warpRow + (lane >> 2), firstColumn + warpColumn + (2 * (lane & 3)));
        Store(sums.M16, firstRow + warpRow + 16 + (lane >> 2), firstColumn + warpColumn + (2 * (lane & 3)));
    }

    private static int Place(int row, int word) => (row * StageWords) + (word ^ ((row >> 1) & 3));

    // Each thread brings two words of x and two of w: rows r and r + 32.
    private void LoadStage(ArrayView<UInt4> shared, int stage, int firstRow, int firstColumn)
    {
        int row = (int)((uint)Group.IdxX / StageWords);
        int word = Group.IdxX & (StageWords - 1);
        int start = (stage & 1) * Stage;
        int k = (stage * StageWords) + word;
        Load(ref shared[start + Place(row, word)], x, firstRow + row, k);
        Load(ref shared[start + Place(row + 32, word)], x, firstRow + row + 32, k);
        Load(ref shared[start + OperandWords + Place(row, word)], w, firstColumn + row, k);
        Load(ref shared[start + OperandWords + Place(row + 32, word)], w, firstColumn + row + 32, k);
        AsyncCopy.Commit();
    }

    private static void Load(ref UInt4 target, Matrix<UInt4> source, int row, int word)
    {
        bool present = row < source.Rows && word < source.Columns;
        AsyncCopy.Copy16OrZero(ref target, ref source[present ? row : 0, present ? word : 0], present);
    }

    private void Store(FragmentRow sums, int row, int column)
    {
        Store(sums.N0, row, column);
        Store(sums.N8, row, column + 8);
        Store(sums.N16, row, column + 16);
        Store(sums.N24, row, column + 24);
    }

    private void Store(Float4 sums, int row, int column)
    {
        Store(sums.X, row, column);
        Store(sums.Y, row, column + 1);
        Store(sums.Z, row + 8, column);
        Store(sums.W, row + 8, column + 1);
    }

    private void Store(float sum, int row, int column)
    {
        if (row < y.Rows && column < y.Columns)
            y[row, column] = sum;
    }
}

/// <summary>Accumulators of one warp: 32 × 32 outputs.</summary>
internal readonly struct WarpTile(FragmentRow m0, FragmentRow m16)
{
    public readonly FragmentRow M0 = m0;
    public readonly FragmentRow M16 = m16;

    public WarpTile MultiplyAdd<TOperand>(UInt4 above, UInt4 below, UInt4 left, UInt4 right)
        where TOperand : struct, IOperand16 =>
        new(MultiplyAdd<TOperand>(M0, above, left, right), MultiplyAdd<TOperand>(M16, below, left, right));

    private static FragmentRow MultiplyAdd<TOperand>(FragmentRow row, UInt4 a, UInt4 left, UInt4 right)
        where TOperand : struct, IOperand16 => new(
            TOperand.MultiplyAdd(a, new UInt2(left.X, left.Y), row.N0),
            TOperand.MultiplyAdd(a, new UInt2(left.Z, left.W), row.N8),
            TOperand.MultiplyAdd(a, new UInt2(right.X, right.Y), row.N16),
            TOperand.MultiplyAdd(a, new UInt2(right.Z, right.W), row.N24));
}
