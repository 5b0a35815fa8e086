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
    public static void Score<TPairs>(in AttentionQueries queries, byte* keys, long tokenBytes, byte* values)
        where TPairs : struct, IPagePairs
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
                        OneByFour<TPairs>(queries, n, keys + (j * tokenBytes), tokenBytes, j, scale, n == i ? ahead : 0);
                }
                else if (Avx512F.IsSupported)
                {
                    FourByFour<TPairs>(queries, i, keys + (j * tokenBytes), tokenBytes, j, scale, ahead);
                }
                else
                {
                    for (int k = j; k < j + Tile; k++)
                        FourByOne<TPairs>(queries, i, keys + (k * tokenBytes), k, scale, ahead);
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
        Vector512<float> s0 = Vector512.Load(scores);
        Vector512<float> s1 = Vector512.Load(scores + 16);
        Vector512<float> s2 = Vector512.Load(scores + 32);
        Vector512<float> s3 = Vector512.Load(scores + 48);
        float before = queries.Max[i];
        float max = Math.Max(before, Largest(Vector512.Max(Vector512.Max(s0, s1), Vector512.Max(s2, s3))));
        var highest = Vector512.Create(max);
        s0 = CpuVectors.Exp(s0 - highest);
        s1 = CpuVectors.Exp(s1 - highest);
        s2 = CpuVectors.Exp(s2 - highest);
        s3 = CpuVectors.Exp(s3 - highest);
        s0.Store(scores);
        s1.Store(scores + 16);
        s2.Store(scores + 32);
        s3.Store(scores + 48);
        float shrink = before == max ? 1 : CpuVectors.Exp(Vector512.Create(before - max)).ToScalar();
        queries.Mass[i] = (queries.Mass[i] * shrink) + Vector512.Sum((s0 + s1) + (s2 + s3));
        queries.Max[i] = max;
        queries.Shrink[i] = shrink;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(Vector512<float> v)
    {
        Vector256<float> eight = Vector256.Max(v.GetLower(), v.GetUpper());
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return Math.Max(Math.Max(four[0], four[1]), Math.Max(four[2], four[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByFour<TPairs>(in AttentionQueries queries, int i, byte* k0, long tokenBytes, int j, float scale, nint ahead)
        where TPairs : struct, IPagePairs
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
            int bytes = d * TPairs.ElementBytes;
            (Vector512<float> a0, Vector512<float> b0) = TPairs.Load(k0 + bytes);
            (Vector512<float> a1, Vector512<float> b1) = TPairs.Load(k1 + bytes);
            (Vector512<float> a2, Vector512<float> b2) = TPairs.Load(k2 + bytes);
            (Vector512<float> a3, Vector512<float> b3) = TPairs.Load(k3 + bytes);
            if (ahead != 0)
            {
                Fetch<TPairs>(k0 + bytes + ahead);
                Fetch<TPairs>(k1 + bytes + ahead);
                Fetch<TPairs>(k2 + bytes + ahead);
                Fetch<TPairs>(k3 + bytes + ahead);
            }

            AddProducts(Vector512.Load(q0 + d), a0, a1, a2, a3, ref s00, ref s01, ref s02, ref s03);
            AddProducts(Vector512.Load(q1 + d), a0, a1, a2, a3, ref s10, ref s11, ref s12, ref s13);
            AddProducts(Vector512.Load(q2 + d), a0, a1, a2, a3, ref s20, ref s21, ref s22, ref s23);
            AddProducts(Vector512.Load(q3 + d), a0, a1, a2, a3, ref s30, ref s31, ref s32, ref s33);
            AddProducts(Vector512.Load(q0 + d + CpuVectors.Width), b0, b1, b2, b3, ref s00, ref s01, ref s02, ref s03);
            AddProducts(Vector512.Load(q1 + d + CpuVectors.Width), b0, b1, b2, b3, ref s10, ref s11, ref s12, ref s13);
            AddProducts(Vector512.Load(q2 + d + CpuVectors.Width), b0, b1, b2, b3, ref s20, ref s21, ref s22, ref s23);
            AddProducts(Vector512.Load(q3 + d + CpuVectors.Width), b0, b1, b2, b3, ref s30, ref s31, ref s32, ref s33);
        }

        float* scores = queries.Weights + (i * KvCache.PageTokens) + j;
        (SumsOf(s00, s01, s02, s03) * scale).Store(scores);
        (SumsOf(s10, s11, s12, s13) * scale).Store(scores + KvCache.PageTokens);
        (SumsOf(s20, s21, s22, s23) * scale).Store(scores + (2 * KvCache.PageTokens));
        (SumsOf(s30, s31, s32, s33) * scale).Store(scores + (3 * KvCache.PageTokens));
    }

    // With half the registers of half the width.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByOne<TPairs>(in AttentionQueries queries, int i, byte* key, int j, float scale, nint ahead)
        where TPairs : struct, IPagePairs
    {
        int headDim = queries.HeadDim;
        float* q0 = queries.Values + ((long)i * headDim);
        float* q1 = q0 + headDim;
        float* q2 = q1 + headDim;
        float* q3 = q2 + headDim;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            (Vector512<float> a, Vector512<float> b) = TPairs.Load(key + (d * TPairs.ElementBytes));
            if (ahead != 0)
                Fetch<TPairs>(key + (d * TPairs.ElementBytes) + ahead);
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
    private static void OneByFour<TPairs>(in AttentionQueries queries, int i, byte* k0, long tokenBytes, int j, float scale, nint ahead)
        where TPairs : struct, IPagePairs
    {
        int headDim = queries.HeadDim;
        float* q = queries.Values + ((long)i * headDim);
        byte* k1 = k0 + tokenBytes;
        byte* k2 = k1 + tokenBytes;
        byte* k3 = k2 + tokenBytes;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < headDim; d += AttentionShare.PairDims)
        {
            int bytes = d * TPairs.ElementBytes;
            (Vector512<float> a0, Vector512<float> b0) = TPairs.Load(k0 + bytes);
            (Vector512<float> a1, Vector512<float> b1) = TPairs.Load(k1 + bytes);
            (Vector512<float> a2, Vector512<float> b2) = TPairs.Load(k2 + bytes);
            (Vector512<float> a3, Vector512<float> b3) = TPairs.Load(k3 + bytes);
            if (ahead != 0)
            {
                Fetch<TPairs>(k0 + bytes + ahead);
                Fetch<TPairs>(k1 + bytes + ahead);
                Fetch<TPairs>(k2 + bytes + ahead);
                Fetch<TPairs>(k3 + bytes + ahead);
            }

            AddProducts(Vector512.Load(q + d), a0, a1, a2, a3, ref s0, ref s1, ref s2, ref s3);
            AddProducts(Vector512.Load(q + d + CpuVectors.Width), b0, b1, b2, b3, ref s0, ref s1, ref s2, ref s3);
        }

        (SumsOf(s0, s1, s2, s3) * scale).Store(queries.Weights + (i * KvCache.PageTokens) + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddProducts(
        Vector512<float> q, Vector512<float> k0, Vector512<float> k1, Vector512<float> k2, Vector512<float> k3,
        ref Vector512<float> s0, ref Vector512<float> s1, ref Vector512<float> s2, ref Vector512<float> s3)
    {
        s0 = Vector512.FusedMultiplyAdd(q, k0, s0);
        s1 = Vector512.FusedMultiplyAdd(q, k1, s1);
        s2 = Vector512.FusedMultiplyAdd(q, k2, s2);
        s3 = Vector512.FusedMultiplyAdd(q, k3, s3);
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
    private static void Fetch<TPairs>(byte* elements)
        where TPairs : struct, IPagePairs
    {
        Sse.Prefetch1(elements);
        if (TPairs.ElementBytes > 2)
            Sse.Prefetch1(elements + 64);
    }
}
