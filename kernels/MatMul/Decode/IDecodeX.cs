using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Activations in the order of B fragments: eight words of a lane for each block of 64 k and tile of eight tokens.</summary>
internal interface IDecodeX
{
    /// <summary>Half 0: the words of steps 0 and 1 of a run's block; half 1: of steps 2 and 3.</summary>
    UInt4 Words(int run, int block, int half, int tokenTile);

    /// <summary>Elements 32 · half + 8t … 8t + 7 of a run's block.</summary>
    UInt4 Octet(int run, int block, int half, int tokenTile);
}

/// <summary>
/// Up to eight rows in shared memory. Of a row's block lane position t has words 8t … 8t + 7; rows are 32 · blocks + 4 words apart, so
/// that no two of a warp's accesses meet in a bank.
/// </summary>
internal readonly struct StagedX : IDecodeX
{
    private readonly ArrayView<uint> words;
    private readonly ArrayView<UInt4> quads;
    private readonly int runBlocks;

    // The lane's token, or the last one where there are not so many: its first word, and the lane's position within a block.
    private readonly int start;
    private readonly int position;

    public StagedX(ArrayView<uint> words, ArrayView<UInt4> quads, int tokens, int runBlocks)
    {
        this.words = words;
        this.quads = quads;
        this.runBlocks = runBlocks;
        int token = (Group.IdxX >> 2) & 7;
        start = (token < tokens ? token : tokens - 1) * Stride(runBlocks);
        position = Group.IdxX & 3;
    }

    /// <summary>Words of a row: runs of a whole number of four blocks, and the step between rows.</summary>
    public static int Stride(int runBlocks) => (WeightColumns.Runs * runBlocks * 32) + 4;

    /// <summary>Word of pair i (k 2i, 2i + 1) of a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Place(int pair) => ((pair & 3) * 8) + (((pair >> 3) & 3) * 2) + ((pair >> 2) & 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public UInt4 Words(int run, int block, int half, int tokenTile) =>
        quads[(start >> 2) + (((run * runBlocks) + block) * 8) + (2 * position) + half];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public UInt4 Octet(int run, int block, int half, int tokenTile)
    {
        int at = start + (((run * runBlocks) + block) * 32) + (4 * half) + position;
        return new UInt4(words[at], words[at + 8], words[at + 16], words[at + 24]);
    }
}

/// <summary>
/// Rows in global memory as <see cref="PackRowsKernel{TOperand}"/> writes them: [token tile][block][half][lane] of 16 bytes.
/// </summary>
internal readonly struct PackedX(ArrayView<UInt4> quads, int blocks, int runBlocks) : IDecodeX
{
    private readonly ArrayView<UInt4> quads = quads;
    private readonly ArrayView<uint> words = quads.Cast<uint>();
    private readonly int blocks = blocks;
    private readonly int runBlocks = runBlocks;

    /// <summary>Tiles of eight tokens for m of them: as many as the kernel that takes them has accumulators for.</summary>
    public static int TokenTiles(int m) => m <= 16 ? 2 : 8;

    /// <summary>16-byte words of m rows of k.</summary>
    public static long Length(int m, int k) =>
        (long)TokenTiles(m) * ((k + WeightColumns.BlockColumns - 1) / WeightColumns.BlockColumns) * 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public UInt4 Words(int run, int block, int half, int tokenTile) => quads[Start(run, block, half, tokenTile) + (Group.IdxX & 31)];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public UInt4 Octet(int run, int block, int half, int tokenTile)
    {
        int start = (Start(run, block, half, tokenTile) * 4) + ((Group.IdxX & 28) * 4) + (Group.IdxX & 3);
        return new UInt4(words[start], words[start + 4], words[start + 8], words[start + 12]);
    }

    // A block past K meets weights that are zero, but must exist.
    private int Start(int run, int block, int half, int tokenTile)
    {
        int at = (run * runBlocks) + block;
        at = at < blocks ? at : blocks - 1;
        return ((((tokenTile * blocks) + at) * 2) + half) * 32;
    }
}
