using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = W · x for one token. w: INT4 tiles of 16 rows × 64 k (layout: kernels/Quantization); x: [K] in words of two f16; y: [N] float. A
/// group of four warps computes the 16 rows of a row tile, each warp every fourth column tile: a lane's 16 bytes are rows g and g + 8
/// of sixteen k each.
/// </summary>
/// <remarks>
/// x is staged in shared memory in the order in which lanes consume it: of a column tile, lane position t takes eight words in a row.
/// Within a tile the eight products of a pair's half are summed in f16, then widened, scaled and summed in f32.
/// </remarks>
[LaunchBounds(128)]
[Instantiation(typeof(F16Format))]
[Instantiation(typeof(Bf16Format))]
internal readonly struct DequantMatVecKernel<TScale>(
    ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<uint> x, ArrayView<float> y, int columnTiles, int groupTiles)
    : IGroupKernel
    where TScale : struct, INumberFormat<ushort>
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 32 * Warps;

    private const int Warps = 4;
    private const int TileWords = Int4Layout.TileColumns / 2;       // of x
    private const int SliceTiles = 64;                              // of x in shared memory: 8 KiB

    /// <summary>One group per 16 rows.</summary>
    public KernelConfig Config => new(Int4Layout.RowTiles((int)y.Length), GroupSize);

    public static void DequantMatVec(DequantMatVecKernel<TScale> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<uint> sharedX = SharedMemory.Allocate<uint>(SliceTiles * TileWords);
        ArrayView<float> partial = SharedMemory.Allocate<float>(Warps * Int4Layout.TileRows);
        ArrayView<UInt4> sharedWords = sharedX.Cast<UInt4>();
        int rowTile = Grid.IdxX;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        ArrayView<UInt4> tiles = codes.SubView(Int4Layout.TileStart(rowTile, 0, columnTiles), (long)columnTiles * Int4Layout.TileLanes);
        int groups = columnTiles / groupTiles;
        long firstScale = Int4Layout.ScaleIndex(rowTile * Int4Layout.TileRows, 0, groups);
        ArrayView<ushort> tileScales = scales.SubView(firstScale, groups * Int4Layout.TileRows);

        RowPair sums = default;
        for (int slice = 0; slice < columnTiles; slice += SliceTiles)
        {
            int end = slice + SliceTiles < columnTiles ? slice + SliceTiles : columnTiles;
            Group.Barrier();
            StageX(sharedX, slice, end);
            Group.Barrier();

            // Four loads in flight a lane.
            int tile = slice + warp;
            for (; tile + (3 * Warps) < end; tile += 4 * Warps)
            {
                UInt4 codes0 = GlobalLoad.Streaming(ref tiles[(tile * Int4Layout.TileLanes) + lane]);
                UInt4 codes1 = GlobalLoad.Streaming(ref tiles[((tile + Warps) * Int4Layout.TileLanes) + lane]);
                UInt4 codes2 = GlobalLoad.Streaming(ref tiles[((tile + (2 * Warps)) * Int4Layout.TileLanes) + lane]);
                UInt4 codes3 = GlobalLoad.Streaming(ref tiles[((tile + (3 * Warps)) * Int4Layout.TileLanes) + lane]);
                sums = AddTile(sums, codes0, sharedWords, tileScales, tile, slice);
                sums = AddTile(sums, codes1, sharedWords, tileScales, tile + Warps, slice);
                sums = AddTile(sums, codes2, sharedWords, tileScales, tile + (2 * Warps), slice);
                sums = AddTile(sums, codes3, sharedWords, tileScales, tile + (3 * Warps), slice);
            }

            for (; tile < end; tile += Warps)
            {
                UInt4 word = GlobalLoad.Streaming(ref tiles[(tile * Int4Layout.TileLanes) + lane]);
                sums = AddTile(sums, word, sharedWords, tileScales, tile, slice);
            }
        }

        Reduce(sums, partial, rowTile, lane, warp);
    }

    // Word i of a column tile holds k 2i and 2i + 1: k16 step i / 8, lane position i % 4, left or right half i / 4 % 2.
    private void StageX(ArrayView<uint> shared, int firstTile, int endTile)
    {
        int words = (endTile - firstTile) * TileWords;
        for (int i = Group.IdxX; i < words; i += GroupSize)
        {
            int source = (firstTile * TileWords) + i;
            int place = (i & ~(TileWords - 1)) + ((i & 3) * 8) + (((i >> 3) & 3) * 2) + ((i >> 2) & 1);
            shared[place] = source < x.Length ? x[source] : 0u;
        }
    }

    private RowPair AddTile(RowPair sums, UInt4 word, ArrayView<UInt4> sharedX, ArrayView<ushort> tileScales, int tile, int slice)
    {
        int lane = Group.IdxX & 31;
        int place = ((tile - slice) * (TileWords / 4)) + (2 * (lane & 3));
        UInt4 x0 = sharedX[place];
        UInt4 x1 = sharedX[place + 1];
        HalfPairs products = default;
        products = products.Add(word.X, x0.X, x0.Y);
        products = products.Add(word.Y, x0.Z, x0.W);
        products = products.Add(word.Z, x1.X, x1.Y);
        products = products.Add(word.W, x1.Z, x1.W);
        int scale = (tile / groupTiles * Int4Layout.TileRows) + (lane >> 2);
        return new RowPair(
            sums.Above + (products.SumAbove() * TScale.Load(tileScales[scale])),
            sums.Below + (products.SumBelow() * TScale.Load(tileScales[scale + 8])));
    }

    // Over the four lanes of a row, then over the warps in their order.
    private void Reduce(RowPair sums, ArrayView<float> partial, int rowTile, int lane, int warp)
    {
        float above = WarpReduce.SumOfFour(sums.Above);
        float below = WarpReduce.SumOfFour(sums.Below);
        if ((lane & 3) == 0)
        {
            partial[(warp * Int4Layout.TileRows) + (lane >> 2)] = above;
            partial[(warp * Int4Layout.TileRows) + (lane >> 2) + 8] = below;
        }

        Group.Barrier();
        int row = (rowTile * Int4Layout.TileRows) + Group.IdxX;
        if (Group.IdxX < Int4Layout.TileRows && row < y.Length)
        {
            float sum = partial[Group.IdxX];
            for (int other = 1; other < Warps; other++)
                sum += partial[(other * Int4Layout.TileRows) + Group.IdxX];
            y[row] = sum;
        }
    }

    /// <summary>A lane's sums of rows g and g + 8.</summary>
    private readonly struct RowPair(float above, float below)
    {
        public readonly float Above = above;
        public readonly float Below = below;
    }

    /// <summary>A lane's sums of rows g and g + 8 in f16, those of even and of odd k apart.</summary>
    private readonly struct HalfPairs(uint above, uint below)
    {
        private const uint LowBase = 0x64086408u;               // 1024 + 8
        private const uint Sixteenth = 0x2c002c00u;             // 1/16
        private const uint HighBase = 0xd480d480u;              // −(1024 + 16 · 8) / 16 = −72

        private readonly uint above = above;
        private readonly uint below = below;

        /// <summary>One k16 step: register p of the layout is rows g, g + 8, g, g + 8 at the left, left, right and right eight k.</summary>
        public HalfPairs Add(uint word, uint left, uint right)
        {
            uint upper = word >> 8;
            uint sumAbove = F16x2.Fma(Low(word), left, above);
            uint sumBelow = F16x2.Fma(High(word), left, below);
            return new HalfPairs(F16x2.Fma(Low(upper), right, sumAbove), F16x2.Fma(High(upper), right, sumBelow));
        }

        public float SumAbove() => F16x2.Low(above) + F16x2.High(above);

        public float SumBelow() => F16x2.Low(below) + F16x2.High(below);

        // The weight −8 … 7 of nibbles 0 and 4, exactly.
        private static uint Low(uint word) => F16x2.Subtract(Bits.LowNibblesToF16x2(word), LowBase);

        // Of nibbles 1 and 5.
        private static uint High(uint word) => F16x2.Fma(Bits.HighNibblesToF16x2(word), Sixteenth, HighBase);
    }
}
