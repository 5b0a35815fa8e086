using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Scores of a page's keys and their softmax weights. A score is q · k / sqrt(Hd): sixteen running sums over the key's elements, added up
/// in one order whatever queries and keys are taken together.
/// </summary>
internal static unsafe class AttentionScores
{
    // Queries and keys whose running sums are in registers at once.
    private const int Tile = 4;

    /// <summary>Leaves the scores of a page's keys, those past a query's end −∞. The page's values are fetched meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score<TFormat>(in AttentionQueries queries, byte* keys, long tokenBytes, byte* values)
        where TFormat : struct, IPageFormat
    {
        float scale = 1 / MathF.Sqrt(queries.HeadDim);
        for (int i = 0; i < queries.Count; i += Tile)
        {
            int tile = Math.Min(Tile, queries.Count - i);
            int most = 0;
            for (int n = i; n < i + tile; n++)
                most = Math.Max(most, queries.Keys[n]);
            nint ahead = i == 0 ? (nint)(values - keys) : 0;
            for (int j = 0; j < most; j += Tile)
            {
                if (tile < Tile)
                {
                    for (int n = i; n < i + tile; n++)
                        OneByFour<TFormat>(queries, n, keys + (j * tokenBytes), tokenBytes, j, scale, n == i ? ahead : 0);
                }
                else if (Avx512F.IsSupported)
                {
                    FourByFour<TFormat>(queries, i, keys + (j * tokenBytes), tokenBytes, j, scale, ahead);
                }
                else
                {
                    for (int k = j; k < j + Tile; k++)
                        FourByOne<TFormat>(queries, i, keys + (k * tokenBytes), k, scale, ahead);
                }
            }
        }
    }

    /// <summary>Turns a query's scores into weights and raises its maximum; a query without keys in the page stays as it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh(in AttentionQueries queries, int i)
    {
        int keys = queries.Keys[i];
        if (keys == 0)
            return;
        float* scores = queries.Weights + (i * KvCache.PageTokens);
        for (int j = keys; j < KvCache.PageTokens; j++)
            scores[j] = float.NegativeInfinity;
        float before = queries.Max[i];
        float max = Math.Max(before, Largest(scores));
        float shrink = before == max ? 1 : Exp(before - max);
        queries.Mass[i] = (queries.Mass[i] * shrink) + ToWeights(scores, max);
        queries.Max[i] = max;
        queries.Shrink[i] = shrink;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Largest(float* scores)
    {
        Vector512<float> max = Vector512.Load(scores);
        for (int j = CpuVectors.Width; j < KvCache.PageTokens; j += CpuVectors.Width)
            max = Vector512.Max(max, Vector512.Load(scores + j));
        return CpuVectors.Largest(max);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float ToWeights(float* scores, float max)
    {
        Vector512<float> sum = default;
        for (int j = 0; j < KvCache.PageTokens; j += CpuVectors.Width)
        {
            Vector512<float> weights = CpuVectors.Exp(Vector512.Load(scores + j) - Vector512.Create(max));
            weights.Store(scores + j);
            sum += weights;
        }

        return Vector512.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Exp(float x) => CpuVectors.Exp(Vector512.Create(x)).ToScalar();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByFour<TFormat>(
        in AttentionQueries queries, int i, byte* k0, long tokenBytes, int j, float scale, nint ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* q0 = queries.Values + ((long)i * headDim);
        float* q1 = q0 + headDim;
        float* q2 = q1 + headDim;
        float* q3 = q2 + headDim;
        byte* k1 = k0 + tokenBytes;
        byte* k2 = k1 + tokenBytes;
        byte* k3 = k2 + tokenBytes;
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            int bytes = TFormat.RowBytes(d);
            Vector512<float> a0 = TFormat.First(k0 + bytes), b0 = TFormat.Second(k0 + bytes);
            Vector512<float> a1 = TFormat.First(k1 + bytes), b1 = TFormat.Second(k1 + bytes);
            Vector512<float> a2 = TFormat.First(k2 + bytes), b2 = TFormat.Second(k2 + bytes);
            Vector512<float> a3 = TFormat.First(k3 + bytes), b3 = TFormat.Second(k3 + bytes);
            if (ahead != 0)
            {
                Fetch<TFormat>(k0 + bytes + ahead);
                Fetch<TFormat>(k1 + bytes + ahead);
                Fetch<TFormat>(k2 + bytes + ahead);
                Fetch<TFormat>(k3 + bytes + ahead);
            }

            Vector512<float> x0 = Vector512.Load(q0 + d);
            s00 = Vector512.FusedMultiplyAdd(x0, a0, s00);
            s01 = Vector512.FusedMultiplyAdd(x0, a1, s01);
            s02 = Vector512.FusedMultiplyAdd(x0, a2, s02);
            s03 = Vector512.FusedMultiplyAdd(x0, a3, s03);
            Vector512<float> x1 = Vector512.Load(q1 + d);
            s10 = Vector512.FusedMultiplyAdd(x1, a0, s10);
            s11 = Vector512.FusedMultiplyAdd(x1, a1, s11);
            s12 = Vector512.FusedMultiplyAdd(x1, a2, s12);
            s13 = Vector512.FusedMultiplyAdd(x1, a3, s13);
            Vector512<float> x2 = Vector512.Load(q2 + d);
            s20 = Vector512.FusedMultiplyAdd(x2, a0, s20);
            s21 = Vector512.FusedMultiplyAdd(x2, a1, s21);
            s22 = Vector512.FusedMultiplyAdd(x2, a2, s22);
            s23 = Vector512.FusedMultiplyAdd(x2, a3, s23);
            Vector512<float> x3 = Vector512.Load(q3 + d);
            s30 = Vector512.FusedMultiplyAdd(x3, a0, s30);
            s31 = Vector512.FusedMultiplyAdd(x3, a1, s31);
            s32 = Vector512.FusedMultiplyAdd(x3, a2, s32);
            s33 = Vector512.FusedMultiplyAdd(x3, a3, s33);
            Vector512<float> x4 = Vector512.Load(q0 + d + CpuVectors.Width);
            s00 = Vector512.FusedMultiplyAdd(x4, b0, s00);
            s01 = Vector512.FusedMultiplyAdd(x4, b1, s01);
            s02 = Vector512.FusedMultiplyAdd(x4, b2, s02);
            s03 = Vector512.FusedMultiplyAdd(x4, b3, s03);
            Vector512<float> x5 = Vector512.Load(q1 + d + CpuVectors.Width);
            s10 = Vector512.FusedMultiplyAdd(x5, b0, s10);
            s11 = Vector512.FusedMultiplyAdd(x5, b1, s11);
            s12 = Vector512.FusedMultiplyAdd(x5, b2, s12);
            s13 = Vector512.FusedMultiplyAdd(x5, b3, s13);
            Vector512<float> x6 = Vector512.Load(q2 + d + CpuVectors.Width);
            s20 = Vector512.FusedMultiplyAdd(x6, b0, s20);
            s21 = Vector512.FusedMultiplyAdd(x6, b1, s21);
            s22 = Vector512.FusedMultiplyAdd(x6, b2, s22);
            s23 = Vector512.FusedMultiplyAdd(x6, b3, s23);
            Vector512<float> x7 = Vector512.Load(q3 + d + CpuVectors.Width);
            s30 = Vector512.FusedMultiplyAdd(x7, b0, s30);
            s31 = Vector512.FusedMultiplyAdd(x7, b1, s31);
            s32 = Vector512.FusedMultiplyAdd(x7, b2, s32);
            s33 = Vector512.FusedMultiplyAdd(x7, b3, s33);
        }

        float* scores = queries.Weights + (i * KvCache.PageTokens) + j;
        (SumsOf(s00, s01, s02, s03) * scale).Store(scores);
        (SumsOf(s10, s11, s12, s13) * scale).Store(scores + KvCache.PageTokens);
        (SumsOf(s20, s21, s22, s23) * scale).Store(scores + (2 * KvCache.PageTokens));
        (SumsOf(s30, s31, s32, s33) * scale).Store(scores + (3 * KvCache.PageTokens));
    }

    // With half the registers of half the width.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByOne<TFormat>(in AttentionQueries queries, int i, byte* key, int j, float scale, nint ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* q0 = queries.Values + ((long)i * headDim);
        float* q1 = q0 + headDim;
        float* q2 = q1 + headDim;
        float* q3 = q2 + headDim;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            Vector512<float> a = TFormat.First(key + TFormat.RowBytes(d)), b = TFormat.Second(key + TFormat.RowBytes(d));
            if (ahead != 0)
                Fetch<TFormat>(key + TFormat.RowBytes(d) + ahead);
            s0 = Vector512.FusedMultiplyAdd(Vector512.Load(q0 + d), a, s0);
            s1 = Vector512.FusedMultiplyAdd(Vector512.Load(q1 + d), a, s1);
            s2 = Vector512.FusedMultiplyAdd(Vector512.Load(q2 + d), a, s2);
            s3 = Vector512.FusedMultiplyAdd(Vector512.Load(q3 + d), a, s3);
            s0 = Vector512.FusedMultiplyAdd(Vector512.Load(q0 + d + CpuVectors.Width), b, s0);
            s1 = Vector512.FusedMultiplyAdd(Vector512.Load(q1 + d + CpuVectors.Width), b, s1);
            s2 = Vector512.FusedMultiplyAdd(Vector512.Load(q2 + d + CpuVectors.Width), b, s2);
            s3 = Vector512.FusedMultiplyAdd(Vector512.Load(q3 + d + CpuVectors.Width), b, s3);
        }

        float* scores = queries.Weights + (i * KvCache.PageTokens) + j;
        Vector128<float> sums = SumsOf(s0, s1, s2, s3) * scale;
        scores[0] = sums[0];
        scores[KvCache.PageTokens] = sums[1];
        scores[2 * KvCache.PageTokens] = sums[2];
        scores[3 * KvCache.PageTokens] = sums[3];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByFour<TFormat>(
        in AttentionQueries queries, int i, byte* k0, long tokenBytes, int j, float scale, nint ahead)
        where TFormat : struct, IPageFormat
    {
        int headDim = queries.HeadDim;
        float* q = queries.Values + ((long)i * headDim);
        byte* k1 = k0 + tokenBytes;
        byte* k2 = k1 + tokenBytes;
        byte* k3 = k2 + tokenBytes;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            int bytes = TFormat.RowBytes(d);
            Vector512<float> a0 = TFormat.First(k0 + bytes), b0 = TFormat.Second(k0 + bytes);
            Vector512<float> a1 = TFormat.First(k1 + bytes), b1 = TFormat.Second(k1 + bytes);
            Vector512<float> a2 = TFormat.First(k2 + bytes), b2 = TFormat.Second(k2 + bytes);
            Vector512<float> a3 = TFormat.First(k3 + bytes), b3 = TFormat.Second(k3 + bytes);
            if (ahead != 0)
            {
                Fetch<TFormat>(k0 + bytes + ahead);
                Fetch<TFormat>(k1 + bytes + ahead);
                Fetch<TFormat>(k2 + bytes + ahead);
                Fetch<TFormat>(k3 + bytes + ahead);
            }

            Vector512<float> x8 = Vector512.Load(q + d);
            s0 = Vector512.FusedMultiplyAdd(x8, a0, s0);
            s1 = Vector512.FusedMultiplyAdd(x8, a1, s1);
            s2 = Vector512.FusedMultiplyAdd(x8, a2, s2);
            s3 = Vector512.FusedMultiplyAdd(x8, a3, s3);
            Vector512<float> x9 = Vector512.Load(q + d + CpuVectors.Width);
            s0 = Vector512.FusedMultiplyAdd(x9, b0, s0);
            s1 = Vector512.FusedMultiplyAdd(x9, b1, s1);
            s2 = Vector512.FusedMultiplyAdd(x9, b2, s2);
            s3 = Vector512.FusedMultiplyAdd(x9, b3, s3);
        }

        (SumsOf(s0, s1, s2, s3) * scale).Store(queries.Weights + (i * KvCache.PageTokens) + j);
    }

    // The sum of each of four vectors: halves, then neighbours, then halves.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> SumsOf(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        Vector256<float> ab = Avx.HorizontalAdd(a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper());
        Vector256<float> cd = Avx.HorizontalAdd(c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper());
        Vector256<float> abcd = Avx.HorizontalAdd(ab, cd);
        return abcd.GetLower() + abcd.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch<TFormat>(byte* elements)
        where TFormat : struct, IPageFormat
    {
        Sse.Prefetch1(elements);
        if (TFormat.RowBytes(AttentionShare.PairDims) > 64)
            Sse.Prefetch1(elements + 64);
    }
}
