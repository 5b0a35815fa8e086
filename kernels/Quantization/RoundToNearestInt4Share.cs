using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>A thread takes whole row tiles, rows g and g + 8 of each together: as floats, then scales, then codes.</summary>
internal readonly unsafe partial struct RoundToNearestInt4Kernel<TWeight, TScale> : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Int4Layout.RowTiles(w.Rows), thread, threads);
        for (int tile = part.From; tile < part.To; tile++)
        {
            RoundToNearestInt4Tiles.Round(
                w, RoundedRows.TypeOf<TWeight>(), tile, columns, groupSize, typeof(TScale) == typeof(F16Format) ? WeightType.F16 : WeightType.Bf16,
                CpuVectors.Pointer(codes), CpuVectors.Pointer(scales), firstRowTile + tile);
        }
    }
}

/// <summary>Row tiles of INT4 codes and scales from sixteen rows of plain weights.</summary>
internal static unsafe class RoundToNearestInt4Tiles
{
    private const int StepColumns = CpuVectors.Width;

    /// <summary>Rounds rows 16·tile … 16·tile + 15 of w [R, K] to row tile <paramref name="target"/> of the destination.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(
        Matrix<UInt4> w, WeightType type, int tile, int columns, int groupSize, WeightType scaleType, UInt4* codes, ushort* scales, int target)
    {
        int groups = Int4Layout.Groups(columns, groupSize);
        int tiles = Int4Layout.ColumnTiles(columns, groupSize);
        int width = tiles * Int4Layout.TileColumns;
        int halves = width / Math.Min(groupSize, Int4Layout.TileColumns);
        float* above = CpuVectors.Scratch((2L * width) + (2L * halves));
        float* below = above + width;
        float* aboveScales = below + width;
        float* belowScales = aboveScales + halves;
        for (int g = 0; g < 8; g++)
        {
            int row = (tile * Int4Layout.TileRows) + g;
            RoundedRows.Expand(w, type, row, columns, above, width);
            RoundedRows.Expand(w, type, row + 8, columns, below, width);
            int tileRow = (target * Int4Layout.TileRows) + g;
            for (int group = 0; group < groups; group++)
            {
                long index = Int4Layout.ScaleIndex(tileRow, group, groups);
                aboveScales[group] = Scale(above + (group * groupSize), groupSize, scaleType, scales + index);
                belowScales[group] = Scale(below + (group * groupSize), groupSize, scaleType, scales + index + 8);
            }

            // The second half of the last tile, where groups of 32 are odd in number: zeros.
            for (int group = groups; group < halves; group++)
                aboveScales[group] = belowScales[group] = 0;
            ulong* lanes = (ulong*)(codes + Int4Layout.TileStart(target, 0, tiles) + (4 * g));
            for (int k = 0; k < width; k += Int4Layout.TileColumns, lanes += 2 * Int4Layout.TileLanes)
            {
                int left = k / groupSize;
                int right = (k + Int4Layout.HalfTileColumns) / groupSize;
                Vector256<ulong> first = RoundedRows.Zip(
                    Words(above + k, below + k, aboveScales[left], belowScales[left]),
                    Words(above + k + StepColumns, below + k + StepColumns, aboveScales[left], belowScales[left]));
                float* aboveRight = above + k + Int4Layout.HalfTileColumns;
                float* belowRight = below + k + Int4Layout.HalfTileColumns;
                Vector256<ulong> second = RoundedRows.Zip(
                    Words(aboveRight, belowRight, aboveScales[right], belowScales[right]),
                    Words(aboveRight + StepColumns, belowRight + StepColumns, aboveScales[right], belowScales[right]));
                RoundedRows.StoreLanes(lanes, first, second);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Scale(float* weights, int count, WeightType type, ushort* stored)
    {
        float scale = RoundToNearestInt4Rule.Scale(RoundedRows.Largest(weights, count), Scale16.Largest(type));
        *stored = type == WeightType.F16 ? F16.FromFloat(scale) : Bf16.FromFloat(scale);
        return type == WeightType.F16 ? F16.ToFloat(*stored) : Bf16.ToFloat(*stored);
    }

    // One word of each of four lanes, in the lower halves: bytes k 2t, 2t + 8, 2t + 1, 2t + 9, each the code of the row above and, in its
    // upper four bits, of the row below.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Words(float* above, float* below, float aboveScale, float belowScale)
    {
        Vector512<int> zero = Vector512.Create(Int4Layout.Zero);
        Vector512<int> both = (RoundedRows.Steps(above, aboveScale, -8, 7) + zero) | ((RoundedRows.Steps(below, belowScale, -8, 7) + zero) << 4);
        return RoundedRows.Pair(both.GetLower() | (both.GetUpper() << 8));
    }
}
