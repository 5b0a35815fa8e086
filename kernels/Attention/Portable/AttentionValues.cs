using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// sums = shrink · sums + Σ weight[j] · v[j] over a page's keys, one after the other. A query's keys past those of the others in its tile
/// follow alone: what lies in a page behind a query's own key is never read for it.
/// </summary>
internal static unsafe class AttentionValues
{
    private const int Tile = 4;

    /// <summary>Adds the page's values; the next page's keys are fetched meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<TFormat>(in AttentionQueries queries, byte* values, long tokenBytes, byte* next)
        where TFormat : struct, IPageFormat
    {
        for (int i = 0; i < queries.Count; i += Tile)
        {
            int tile = Math.Min(Tile, queries.Count - i);
            int common = KvCache.PageTokens;
            for (int n = i; n < i + tile; n++)
                common = Math.Min(common, queries.Keys[n]);
            byte* ahead = i == 0 ? next : null;
            bool together = tile == Tile && common > 0;
            if (together && Avx512F.IsSupported)
            {
                Four<TFormat>(queries, i, values, tokenBytes, common, ahead);
            }
            else if (together)
            {
                Two<TFormat>(queries, i, values, tokenBytes, common, ahead);
                Two<TFormat>(queries, i + 2, values, tokenBytes, common, null);
            }

            for (int n = i; n < i + tile; n++)
            {
                int from = together ? common : 0;
                if (from < queries.Keys[n])
                    One<TFormat>(queries, n, values, tokenBytes, from, queries.Keys[n], n == i && !together ? ahead : null);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<TFormat>(in AttentionQueries queries, int i, byte* values, long tokenBytes, int keys, byte* ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* weights = queries.Weights + (i * KvCache.PageTokens);
        float* shrink = queries.Shrink + i;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            float* y0 = queries.Sums + ((long)i * headDim) + d;
            float* y1 = y0 + headDim;
            float* y2 = y1 + headDim;
            float* y3 = y2 + headDim;
            Vector512<float> a0 = Vector512.Load(y0) * shrink[0], b0 = Vector512.Load(y0 + CpuVectors.Width) * shrink[0];
            Vector512<float> a1 = Vector512.Load(y1) * shrink[1], b1 = Vector512.Load(y1 + CpuVectors.Width) * shrink[1];
            Vector512<float> a2 = Vector512.Load(y2) * shrink[2], b2 = Vector512.Load(y2 + CpuVectors.Width) * shrink[2];
            Vector512<float> a3 = Vector512.Load(y3) * shrink[3], b3 = Vector512.Load(y3 + CpuVectors.Width) * shrink[3];
            byte* value = values + TFormat.RowBytes(d);
            for (int j = 0; j < keys; j++)
            {
                Vector512<float> a = TFormat.First(value), b = TFormat.Second(value);
                value += tokenBytes;
                if (ahead != null)
                    ahead = Fetch<TFormat>(ahead);
                var w0 = Vector512.Create(weights[j]);
                a0 = Vector512.FusedMultiplyAdd(w0, a, a0);
                b0 = Vector512.FusedMultiplyAdd(w0, b, b0);
                var w1 = Vector512.Create(weights[j + KvCache.PageTokens]);
                a1 = Vector512.FusedMultiplyAdd(w1, a, a1);
                b1 = Vector512.FusedMultiplyAdd(w1, b, b1);
                var w2 = Vector512.Create(weights[j + (2 * KvCache.PageTokens)]);
                a2 = Vector512.FusedMultiplyAdd(w2, a, a2);
                b2 = Vector512.FusedMultiplyAdd(w2, b, b2);
                var w3 = Vector512.Create(weights[j + (3 * KvCache.PageTokens)]);
                a3 = Vector512.FusedMultiplyAdd(w3, a, a3);
                b3 = Vector512.FusedMultiplyAdd(w3, b, b3);
            }

            Store(a0, b0, y0);
            Store(a1, b1, y1);
            Store(a2, b2, y2);
            Store(a3, b3, y3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<TFormat>(in AttentionQueries queries, int i, byte* values, long tokenBytes, int keys, byte* ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* weights = queries.Weights + (i * KvCache.PageTokens);
        float* shrink = queries.Shrink + i;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            float* y0 = queries.Sums + ((long)i * headDim) + d;
            float* y1 = y0 + headDim;
            Vector512<float> a0 = Vector512.Load(y0) * shrink[0], b0 = Vector512.Load(y0 + CpuVectors.Width) * shrink[0];
            Vector512<float> a1 = Vector512.Load(y1) * shrink[1], b1 = Vector512.Load(y1 + CpuVectors.Width) * shrink[1];
            byte* value = values + TFormat.RowBytes(d);
            for (int j = 0; j < keys; j++)
            {
                Vector512<float> a = TFormat.First(value), b = TFormat.Second(value);
                value += tokenBytes;
                if (ahead != null)
                    ahead = Fetch<TFormat>(ahead);
                var w4 = Vector512.Create(weights[j]);
                a0 = Vector512.FusedMultiplyAdd(w4, a, a0);
                b0 = Vector512.FusedMultiplyAdd(w4, b, b0);
                var w5 = Vector512.Create(weights[j + KvCache.PageTokens]);
                a1 = Vector512.FusedMultiplyAdd(w5, a, a1);
                b1 = Vector512.FusedMultiplyAdd(w5, b, b1);
            }

            Store(a0, b0, y0);
            Store(a1, b1, y1);
        }
    }

    // Keys that are not the page's first find the sums shrunk.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TFormat>(
        in AttentionQueries queries, int i, byte* values, long tokenBytes, int from, int to, byte* ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* weights = queries.Weights + (i * KvCache.PageTokens);
        float shrink = from == 0 ? queries.Shrink[i] : 1;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            float* y = queries.Sums + ((long)i * headDim) + d;
            Vector512<float> a0 = Vector512.Load(y) * shrink, b0 = Vector512.Load(y + CpuVectors.Width) * shrink;
            byte* value = values + (from * tokenBytes) + TFormat.RowBytes(d);
            for (int j = from; j < to; j++)
            {
                Vector512<float> a = TFormat.First(value), b = TFormat.Second(value);
                value += tokenBytes;
                if (ahead != null)
                    ahead = Fetch<TFormat>(ahead);
                var w6 = Vector512.Create(weights[j]);
                a0 = Vector512.FusedMultiplyAdd(w6, a, a0);
                b0 = Vector512.FusedMultiplyAdd(w6, b, b0);
            }

            Store(a0, b0, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> a, Vector512<float> b, float* to)
    {
        a.Store(to);
        b.Store(to + CpuVectors.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Fetch<TFormat>(byte* line)
        where TFormat : struct, IPageFormat
    {
        Sse.Prefetch1(line);
        if (TFormat.RowBytes(AttentionShare.PairDims) > 64)
            Sse.Prefetch1(line + 64);
        return line + TFormat.RowBytes(AttentionShare.PairDims);
    }
}
