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

    // Two pairs of vectors at a time, then the last pair where there are an odd number.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<TFormat>(in AttentionQueries queries, int i, byte* values, long tokenBytes, int keys, byte* ahead)
        where TFormat : struct, IPageFormat
    {
        int d = 0;
        for (; d + (2 * AttentionShare.PairDims) <= queries.HeadDim; d += 2 * AttentionShare.PairDims)
        {
            FourByTwoPairs<TFormat>(queries, i, d, values + TFormat.RowBytes(d), tokenBytes, keys, ahead);
            if (ahead != null)
                ahead += keys * TFormat.RowBytes(2 * AttentionShare.PairDims);
        }

        if (d < queries.HeadDim)
            FourByAPair<TFormat>(queries, i, d, values + TFormat.RowBytes(d), tokenBytes, keys);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByTwoPairs<TFormat>(in AttentionQueries queries, int i, int d, byte* value, long tokenBytes, int keys, byte* ahead)
        where TFormat : struct, IPageFormat
    {
        const int Next = AttentionShare.PairDims;
        float* y0 = queries.Sums + ((long)i * queries.HeadDim) + d;
        float* y1 = y0 + queries.HeadDim;
        float* y2 = y1 + queries.HeadDim;
        float* y3 = y2 + queries.HeadDim;
        float* shrink = queries.Shrink + i;
        Vector512<float> a0 = Vector512.Load(y0) * shrink[0], b0 = Vector512.Load(y0 + CpuVectors.Width) * shrink[0];
        Vector512<float> a1 = Vector512.Load(y1) * shrink[1], b1 = Vector512.Load(y1 + CpuVectors.Width) * shrink[1];
        Vector512<float> a2 = Vector512.Load(y2) * shrink[2], b2 = Vector512.Load(y2 + CpuVectors.Width) * shrink[2];
        Vector512<float> a3 = Vector512.Load(y3) * shrink[3], b3 = Vector512.Load(y3 + CpuVectors.Width) * shrink[3];
        Vector512<float> c0 = Vector512.Load(y0 + Next) * shrink[0], d0 = Vector512.Load(y0 + Next + CpuVectors.Width) * shrink[0];
        Vector512<float> c1 = Vector512.Load(y1 + Next) * shrink[1], d1 = Vector512.Load(y1 + Next + CpuVectors.Width) * shrink[1];
        Vector512<float> c2 = Vector512.Load(y2 + Next) * shrink[2], d2 = Vector512.Load(y2 + Next + CpuVectors.Width) * shrink[2];
        Vector512<float> c3 = Vector512.Load(y3 + Next) * shrink[3], d3 = Vector512.Load(y3 + Next + CpuVectors.Width) * shrink[3];
        float* weight = queries.Weights + (i * KvCache.PageTokens);
        for (float* end = weight + keys; weight < end; weight++)
        {
            Vector512<float> a = TFormat.First(value), b = TFormat.Second(value);
            Vector512<float> c = TFormat.First(value + TFormat.RowBytes(Next)), e = TFormat.Second(value + TFormat.RowBytes(Next));
            value += tokenBytes;
            if (ahead != null)
            {
                for (int line = 0; line < TFormat.RowBytes(2 * Next); line += 64)
                    Sse.Prefetch1(ahead + line);
                ahead += TFormat.RowBytes(2 * Next);
            }

            var w0 = Vector512.Create(weight[0]);
            a0 = Vector512.FusedMultiplyAdd(w0, a, a0);
            b0 = Vector512.FusedMultiplyAdd(w0, b, b0);
            c0 = Vector512.FusedMultiplyAdd(w0, c, c0);
            d0 = Vector512.FusedMultiplyAdd(w0, e, d0);
            var w1 = Vector512.Create(weight[KvCache.PageTokens]);
            a1 = Vector512.FusedMultiplyAdd(w1, a, a1);
            b1 = Vector512.FusedMultiplyAdd(w1, b, b1);
            c1 = Vector512.FusedMultiplyAdd(w1, c, c1);
            d1 = Vector512.FusedMultiplyAdd(w1, e, d1);
            var w2 = Vector512.Create(weight[2 * KvCache.PageTokens]);
            a2 = Vector512.FusedMultiplyAdd(w2, a, a2);
            b2 = Vector512.FusedMultiplyAdd(w2, b, b2);
            c2 = Vector512.FusedMultiplyAdd(w2, c, c2);
            d2 = Vector512.FusedMultiplyAdd(w2, e, d2);
            var w3 = Vector512.Create(weight[3 * KvCache.PageTokens]);
            a3 = Vector512.FusedMultiplyAdd(w3, a, a3);
            b3 = Vector512.FusedMultiplyAdd(w3, b, b3);
            c3 = Vector512.FusedMultiplyAdd(w3, c, c3);
            d3 = Vector512.FusedMultiplyAdd(w3, e, d3);
        }

        Store(a0, b0, y0);
        Store(c0, d0, y0 + Next);
        Store(a1, b1, y1);
        Store(c1, d1, y1 + Next);
        Store(a2, b2, y2);
        Store(c2, d2, y2 + Next);
        Store(a3, b3, y3);
        Store(c3, d3, y3 + Next);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByAPair<TFormat>(in AttentionQueries queries, int i, int d, byte* value, long tokenBytes, int keys)
        where TFormat : struct, IPageFormat
    {
        for (int n = i; n < i + Tile; n++)
        {
            float* y = queries.Sums + ((long)n * queries.HeadDim) + d;
            float* weights = queries.Weights + (n * KvCache.PageTokens);
            Vector512<float> a0 = Vector512.Load(y) * queries.Shrink[n], b0 = Vector512.Load(y + CpuVectors.Width) * queries.Shrink[n];
            byte* element = value;
            for (int j = 0; j < keys; j++, element += tokenBytes)
            {
                var weight = Vector512.Create(weights[j]);
                a0 = Vector512.FusedMultiplyAdd(weight, TFormat.First(element), a0);
                b0 = Vector512.FusedMultiplyAdd(weight, TFormat.Second(element), b0);
            }

            Store(a0, b0, y);
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
