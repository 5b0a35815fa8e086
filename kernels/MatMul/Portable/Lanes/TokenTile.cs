using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Unpacked weights of four rows times x of one to six tokens, both a stretch apart, with the sums in registers: of AVX-512's 32, six
/// tokens take 24. What they sum joins the totals, sixteen rows of lanes a token, times the rows' scales: 1 where weights have theirs.
/// </summary>
internal static unsafe class TokenTile
{
    private const int Next = LaneOrder.Stretch;

    /// <summary>All rows of a tile by all tokens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* weights, int rows, float* x, int tokens, int columns, float* scales, float* totals)
    {
        for (int token = 0; token < tokens;)
        {
            int left = tokens - token;
            int count = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            for (int row = 0; row < rows; row += 4)
            {
                float* w = weights + (row * Next);
                float* to = totals + (row * CpuVectors.Width);
                if (count == 6)
                    Six(w, x, columns, scales + row, to);
                else if (count == 4)
                    Four(w, x, columns, scales + row, to);
                else if (count == 2)
                    Two(w, x, columns, scales + row, to);
                else
                    One(w, x, columns, scales + row, to);
            }

            token += count;
            x += count * Next;
            totals += count * LaneSums.Floats;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Six(float* w, float* x, int columns, float* scales, float* totals)
    {
        FourRows a = default, b = default, c = default, d = default, e = default, f = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            Vector512<float> w0 = Vector512.LoadAligned(w);
            Vector512<float> w1 = Vector512.LoadAligned(w + Next);
            Vector512<float> w2 = Vector512.LoadAligned(w + (2 * Next));
            Vector512<float> w3 = Vector512.LoadAligned(w + (3 * Next));
            a.Add(w0, w1, w2, w3, Vector512.LoadAligned(x));
            b.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + Next));
            c.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (2 * Next)));
            d.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (3 * Next)));
            e.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (4 * Next)));
            f.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (5 * Next)));
        }

        a.AddTo(scales, totals);
        b.AddTo(scales, totals + LaneSums.Floats);
        c.AddTo(scales, totals + (2 * LaneSums.Floats));
        d.AddTo(scales, totals + (3 * LaneSums.Floats));
        e.AddTo(scales, totals + (4 * LaneSums.Floats));
        f.AddTo(scales, totals + (5 * LaneSums.Floats));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* w, float* x, int columns, float* scales, float* totals)
    {
        FourRows a = default, b = default, c = default, d = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            Vector512<float> w0 = Vector512.LoadAligned(w);
            Vector512<float> w1 = Vector512.LoadAligned(w + Next);
            Vector512<float> w2 = Vector512.LoadAligned(w + (2 * Next));
            Vector512<float> w3 = Vector512.LoadAligned(w + (3 * Next));
            a.Add(w0, w1, w2, w3, Vector512.LoadAligned(x));
            b.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + Next));
            c.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (2 * Next)));
            d.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + (3 * Next)));
        }

        a.AddTo(scales, totals);
        b.AddTo(scales, totals + LaneSums.Floats);
        c.AddTo(scales, totals + (2 * LaneSums.Floats));
        d.AddTo(scales, totals + (3 * LaneSums.Floats));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two(float* w, float* x, int columns, float* scales, float* totals)
    {
        FourRows a = default, b = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            Vector512<float> w0 = Vector512.LoadAligned(w);
            Vector512<float> w1 = Vector512.LoadAligned(w + Next);
            Vector512<float> w2 = Vector512.LoadAligned(w + (2 * Next));
            Vector512<float> w3 = Vector512.LoadAligned(w + (3 * Next));
            a.Add(w0, w1, w2, w3, Vector512.LoadAligned(x));
            b.Add(w0, w1, w2, w3, Vector512.LoadAligned(x + Next));
        }

        a.AddTo(scales, totals);
        b.AddTo(scales, totals + LaneSums.Floats);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* w, float* x, int columns, float* scales, float* totals)
    {
        FourRows a = default;
        for (float* end = w + columns; w < end; w += CpuVectors.Width, x += CpuVectors.Width)
        {
            a.Add(
                Vector512.LoadAligned(w), Vector512.LoadAligned(w + Next), Vector512.LoadAligned(w + (2 * Next)),
                Vector512.LoadAligned(w + (3 * Next)), Vector512.LoadAligned(x));
        }

        a.AddTo(scales, totals);
    }

    /// <summary>One token's sums of four rows.</summary>
    private struct FourRows
    {
        private Vector512<float> row0;
        private Vector512<float> row1;
        private Vector512<float> row2;
        private Vector512<float> row3;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(Vector512<float> w0, Vector512<float> w1, Vector512<float> w2, Vector512<float> w3, Vector512<float> x)
        {
            row0 = Vector512.FusedMultiplyAdd(w0, x, row0);
            row1 = Vector512.FusedMultiplyAdd(w1, x, row1);
            row2 = Vector512.FusedMultiplyAdd(w2, x, row2);
            row3 = Vector512.FusedMultiplyAdd(w3, x, row3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void AddTo(float* scales, float* totals)
        {
            LaneSums.AddScaled(row0, scales[0], totals);
            LaneSums.AddScaled(row1, scales[1], totals + 16);
            LaneSums.AddScaled(row2, scales[2], totals + 32);
            LaneSums.AddScaled(row3, scales[3], totals + 48);
        }
    }
}
