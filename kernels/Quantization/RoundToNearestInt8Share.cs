using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>A thread takes whole row tiles, rows g and g + 8 of each together: as floats, then scales and codes group by group.</summary>
internal readonly unsafe partial struct RoundToNearestInt8Kernel<TWeight, TScale> : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Int8Layout.RowTiles(w.Rows), thread, threads);
        for (int tile = part.From; tile < part.To; tile++)
        {
            RoundToNearestInt8Tiles.Round(
                w, RoundedRows.TypeOf<TWeight>(), tile, columns, groupSize, typeof(TScale) == typeof(F16Format) ? WeightType.F16 : WeightType.Bf16,
                CpuVectors.Pointer(codes), CpuVectors.Pointer(scales), firstRowTile + tile);
        }
    }
}

/// <summary>Row tiles of INT8 codes and scales from sixteen rows of plain weights.</summary>
internal static unsafe class RoundToNearestInt8Tiles
{
    private const int StepColumns = CpuVectors.Width;

    /// <summary>Rounds rows 16·tile … 16·tile + 15 of w [R, K] to row tile <paramref name="target"/> of the destination.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(
        Matrix<UInt4> w, WeightType type, int tile, int columns, int groupSize, WeightType scaleType, UInt4* codes, ushort* scales, int target)
    {
        int groups = Int8Layout.Groups(columns, groupSize);
        int width = groups * groupSize;
        float* above = CpuVectors.Scratch(2L * width);
        float* below = above + width;
        for (int g = 0; g < 8; g++)
        {
            int row = (tile * Int8Layout.TileRows) + g;
            RoundedRows.Expand(w, type, row, columns, above, width);
            RoundedRows.Expand(w, type, row + 8, columns, below, width);
            ulong* lanes = (ulong*)(codes + Int8Layout.TileStart(target, 0, width / Int8Layout.TileColumns) + (4 * g));
            for (int group = 0; group < groups; group++)
            {
                int first = group * groupSize;
                ushort* stored = scales + Int8Layout.ScaleIndex((target * Int8Layout.TileRows) + g, group, groups);
                float aboveScale = Scale(above + first, groupSize, scaleType, stored);
                float belowScale = Scale(below + first, groupSize, scaleType, stored + 8);
                for (int k = first; k < first + groupSize; k += Int8Layout.TileColumns, lanes += 2 * Int8Layout.TileLanes)
                {
                    RoundedRows.StoreLanes(
                        lanes, Words(above + k, below + k, aboveScale, belowScale),
                        Words(above + k + StepColumns, below + k + StepColumns, aboveScale, belowScale));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Scale(float* weights, int count, WeightType type, ushort* stored)
    {
        float scale = RoundToNearestInt8Rule.Scale(RoundedRows.Largest(weights, count), Scale16.Largest(type));
        *stored = type == WeightType.F16 ? F16.FromFloat(scale) : Bf16.FromFloat(scale);
        return type == WeightType.F16 ? F16.ToFloat(*stored) : Bf16.ToFloat(*stored);
    }

    // Two words of each of four lanes, of k 2t, 2t + 1 and of k 2t + 8, 2t + 9: bytes above, below, above, below.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Words(float* above, float* below, float aboveScale, float belowScale)
    {
        Vector512<int> low = Vector512.Create(255);
        Vector512<int> both = (RoundedRows.Steps(above, aboveScale, -127, 127) & low) | ((RoundedRows.Steps(below, belowScale, -127, 127) & low) << 8);
        return RoundedRows.Zip(RoundedRows.Pair(both.GetLower()), RoundedRows.Pair(both.GetUpper()));
    }
}
