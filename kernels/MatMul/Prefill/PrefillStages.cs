using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Blocks of 64 k of a group's tokens on their way through shared memory: three stages, two of which arrive while one is multiplied.
/// </summary>
/// <remarks>
/// A stage is [token][8 words of 16 bytes]; word w of a token lies at place w ^ Turn(token % 8), so that the eight tokens that an ldmatrix
/// phase reads lie in eight different sets of banks, and so do four words of two neighbours that eight lanes load themselves. Tokens past M
/// arrive as zeros.
/// </remarks>
internal readonly struct PrefillStages<TTile>
    where TTile : struct, IPrefillTile
{
    private const int Stages = 3;
    private const int BlockWords = WeightColumns.BlockColumns / 8;

    private readonly ArrayView<UInt4> shared;
    private readonly Matrix<UInt4> x;

    // The thread's own word of the first token that it copies, and from there in steps of RowStep.
    private readonly int token;
    private readonly int source;
    private readonly int target;

    public PrefillStages(ArrayView<UInt4> shared, Matrix<UInt4> x, int firstToken)
    {
        this.shared = shared;
        this.x = x;
        int row = (int)((uint)Group.IdxX / BlockWords);
        int word = Group.IdxX & (BlockWords - 1);
        token = firstToken + row;
        source = (token * x.Stride) + word;
        target = (row * BlockWords) + (word ^ Turn(row & 7));
    }

    /// <summary>Copies of a thread for each stage.</summary>
    public static int Turns => 2 * TTile.TokenTiles / TTile.Warps;

    /// <summary>Words of all stages, or of what is finished at once in their place.</summary>
    public static int Words => Stages * StageWords > FinishWords ? Stages * StageWords : FinishWords;

    private static int FinishWords => PrefillSums.Batch * 2 * TTile.Warps * 32;

    private static int StageWords => TTile.TokenTiles * 8 * BlockWords;

    // The threads of a group copy so many tokens at once.
    private static int RowStep => TTile.Warps * 32 / BlockWords;

    /// <summary>Starts the copies of a block to a stage and closes their group, empty where there is no such block.</summary>
    public void Start(int block, int stage, bool present)
    {
        for (int turn = 0; turn < Turns; turn++)
            Copy(block, stage, turn, present);
        AsyncCopy.Commit();
    }

    /// <summary>Starts one of a block's copies, a word a thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Copy(int block, int stage, int turn, bool present)
    {
        int row = turn * RowStep;
        bool isThere = present && token + row < x.Rows;
        int at = isThere ? source + (row * x.Stride) + (block * BlockWords) : 0;
        AsyncCopy.Copy16OrZero(ref shared[(stage * StageWords) + target + (row * BlockWords)], ref x.Data[at], isThere);
    }

    /// <summary>The stage behind a stage.</summary>
    public static int Next(int stage) => stage == Stages - 1 ? 0 : stage + 1;

    /// <summary>Where a stage's words begin.</summary>
    public static int Begin(int stage) => stage * StageWords;

    /// <summary>Where in a stage the words of a tile of eight tokens begin.</summary>
    public static int TileStart(int tokenTile) => tokenTile * 8 * BlockWords;

    /// <summary>Of 32 k from word 4 · half on, what a lane names to ldmatrix: token of the eight and word of the four.</summary>
    public static int Place(int tokenOfTile, int word) => (tokenOfTile * BlockWords) + (word ^ Turn(tokenOfTile));

    // Of neighbours one has words 0 … 3 in the lower four places, the other in the upper.
    private static int Turn(int tokenOfTile) => ((tokenOfTile & 1) << 2) | (tokenOfTile >> 1);
}

/// <summary>
/// The block that arrives while another is multiplied. Its copies are spread over the products: fragments are not loaded across a copy
/// to shared memory, which keeps the assembler from loading all of them first, for which there are no registers.
/// </summary>
internal readonly struct PrefillArrival<TTile>(PrefillStages<TTile> stages, int block, int stage, bool present, int parts)
    where TTile : struct, IPrefillTile
{
    /// <summary>After the products of a tile of tokens; a block goes in parts through all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void After(int done)
    {
        int turnTiles = TTile.TokenTiles / PrefillStages<TTile>.Turns * parts;
        if ((uint)(done + 1) % (uint)turnTiles == 0)
            stages.Copy(block, stage, (int)((uint)done / (uint)turnTiles), present);
    }
}
