using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What <see cref="TokenTile"/> does, for AVX2's sixteen registers of eight floats: four rows by three tokens take twelve. One half of the
/// lanes after the other: a lane's sum knows of no other lane.
/// </summary>
internal static unsafe class HalfTokenTile
{
    private const int Next = LaneOrder.Stretch;
    private const int Half = CpuVectors.Width / 2;

    /// <summary>All rows of a tile by all tokens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* weights, int rows, float* x, int tokens, int columns, float* scales, float* totals)
    {
        for (int token = 0; token < tokens;)
        {
            int count = tokens - token >= 3 ? 3 : 1;
            for (int row = 0; row < rows; row += 4)
            {
                for (int half = 0; half < CpuVectors.Width; half += Half)
                {
                    float* w = weights + (row * Next) + half;
                    float* to = totals + (row * CpuVectors.Width) + half;
                    if (count == 3)
                        Three(w, x + half, columns, scales + row, to);
                    else
                        One(w, x + half, columns, scales + row, to);
                }
            }

            token += count;
            x += count * Next;
            totals += count * LaneSums.Floats;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Three(float* w, float* x, int columns, float* scales, float* totals)
    {
        ThreeTokens row0 = default, row1 = default, row2 = default, row3 = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            Vector256<float> a = Vector256.LoadAligned(x);
            Vector256<float> b = Vector256.LoadAligned(x + Next);
            Vector256<float> c = Vector256.LoadAligned(x + (2 * Next));
            row0.Add(a, b, c, Vector256.LoadAligned(w));
            row1.Add(a, b, c, Vector256.LoadAligned(w + Next));
            row2.Add(a, b, c, Vector256.LoadAligned(w + (2 * Next)));
            row3.Add(a, b, c, Vector256.LoadAligned(w + (3 * Next)));
        }

        row0.AddTo(scales[0], totals);
        row1.AddTo(scales[1], totals + CpuVectors.Width);
        row2.AddTo(scales[2], totals + (2 * CpuVectors.Width));
        row3.AddTo(scales[3], totals + (3 * CpuVectors.Width));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* w, float* x, int columns, float* scales, float* totals)
    {
        Vector256<float> row0 = default, row1 = default, row2 = default, row3 = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            Vector256<float> a = Vector256.LoadAligned(x);
            row0 = Vector256.FusedMultiplyAdd(Vector256.LoadAligned(w), a, row0);
            row1 = Vector256.FusedMultiplyAdd(Vector256.LoadAligned(w + Next), a, row1);
            row2 = Vector256.FusedMultiplyAdd(Vector256.LoadAligned(w + (2 * Next)), a, row2);
            row3 = Vector256.FusedMultiplyAdd(Vector256.LoadAligned(w + (3 * Next)), a, row3);
        }

        AddScaled(row0, scales[0], totals);
        AddScaled(row1, scales[1], totals + CpuVectors.Width);
        AddScaled(row2, scales[2], totals + (2 * CpuVectors.Width));
        AddScaled(row3, scales[3], totals + (3 * CpuVectors.Width));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(Vector256<float> sum, float scale, float* total) =>
        Vector256.FusedMultiplyAdd(sum, Vector256.Create(scale), Vector256.LoadAligned(total)).StoreAligned(total);

    /// <summary>One row's sums of three tokens.</summary>
    private struct ThreeTokens
    {
        private Vector256<float> token0;
        private Vector256<float> token1;
        private Vector256<float> token2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(Vector256<float> x0, Vector256<float> x1, Vector256<float> x2, Vector256<float> w)
        {
            token0 = Vector256.FusedMultiplyAdd(w, x0, token0);
            token1 = Vector256.FusedMultiplyAdd(w, x1, token1);
            token2 = Vector256.FusedMultiplyAdd(w, x2, token2);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void AddTo(float scale, float* totals)
        {
            AddScaled(token0, scale, totals);
            AddScaled(token1, scale, totals + LaneSums.Floats);
            AddScaled(token2, scale, totals + (2 * LaneSums.Floats));
        }
    }
}
