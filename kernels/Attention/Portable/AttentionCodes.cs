using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Attention over codes of 4 and 8 bits in whole numbers: queries and the weights of a page's values become 15 bits and a sign, whose products
/// with codes are summed exactly, two a lane and instruction. A query's sums depend on its own keys alone whoever shares a tile with it, and
/// what lies in a page behind its last key has weight 0, whatever it is.
/// </summary>
internal static unsafe class AttentionCodes
{
    /// <summary>Elements that two vectors of codes hold.</summary>
    public const int UnitDims = 64;

    private const int Tile = 4;
    private const float Most = short.MaxValue;

    // Beyond it a sum of products with bytes could pass 2^31.
    private const int MostHeadDim = 256;

    /// <summary>Whether heads of this size go this way; the others' codes become floats.</summary>
    public static bool Takes(int headDim) => Avx512BW.IsSupported && headDim % UnitDims == 0 && headDim <= MostHeadDim;

    /// <summary>Turns so many floats, whole vectors, into codes; returns what a code stands for, 0 of zeros alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Encode(float* values, short* codes, int count, out int sum)
    {
        Vector512<float> most = default, none = default;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> value = Vector512.Load(values + i);
            most = Vector512.Max(most, Vector512.Abs(value));
            none += value - value;
        }

        // NaN where any value is or is infinite.
        float unit = (CpuVectors.Largest(most) + Vector512.Sum(none)) / Most;
        var inverse = Vector512.Create(unit > 0 ? 1 / unit : 0);
        Vector512<int> sums = default;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<int> code = PageCodes.Nearest(Vector512.Load(values + i) * inverse, short.MinValue, short.MaxValue);
            sums += code;
            Vector256.Narrow(code.GetLower(), code.GetUpper()).Store(codes + i);
        }

        sum = Vector512.Sum(sums);
        return unit;
    }

    /// <summary>Leaves q · c / sqrt(Hd) of a page's first keys in the queries' weights. The page's values are fetched meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score<TKeys, TValues>(in AttentionQueries queries, byte* keys, int tokens, byte* values)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int keyBytes = TKeys.RowBytes(queries.HeadDim);
        int valueBytes = TValues.RowBytes(queries.HeadDim);
        for (int i = 0; i < queries.Count; i += Tile)
        {
            int tile = Math.Min(Tile, queries.Count - i);
            for (int j = 0; j < tokens; j += Tile)
            {
                byte* ahead = i == 0 ? values + (j * valueBytes) : null;
                if (tile == Tile)
                {
                    ScoreFour<TKeys, TValues>(queries, i, keys + (j * keyBytes), j, ahead);
                    continue;
                }

                for (int n = i; n < i + tile; n++)
                    ScoreOne<TKeys, TValues>(queries, n, keys + (j * keyBytes), j, n == i ? ahead : null);
            }
        }
    }

    /// <summary>sums = shrink · sums + Σ weight · c over a page's first keys. The next page's keys are fetched meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<TKeys, TValues>(in AttentionQueries queries, byte* values, int tokens, byte* next)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        for (int i = 0; i < queries.Count; i++)
        {
            short* codes = queries.WeightCodes + (i * KvCache.PageTokens);
            if (queries.Keys[i] == 0)
            {
                new Span<short>(codes, KvCache.PageTokens).Clear();
                queries.WeightUnits[i] = 0;
                queries.Shrink[i] = 1;
                continue;
            }

            queries.WeightUnits[i] = Encode(queries.Weights + (i * KvCache.PageTokens), codes, KvCache.PageTokens, out int sum);
            queries.Zeros[i] -= TValues.CodeMiddle * queries.WeightUnits[i] * sum;
        }

        for (int i = 0; i < queries.Count; i += Tile)
        {
            int tile = Math.Min(Tile, queries.Count - i);
            byte* ahead = i == 0 ? next : null;
            for (int d = 0; d < queries.HeadDim; d += UnitDims)
            {
                byte* value = values + TValues.RowBytes(d);
                if (tile == Tile)
                {
                    AddFour<TKeys, TValues>(queries, i, d, value, tokens, ahead);
                }
                else
                {
                    for (int n = i; n < i + tile; n++)
                        AddOne<TKeys, TValues>(queries, n, d, value, tokens, n == i ? ahead : null);
                }

                if (ahead != null)
                    ahead += (tokens + 1) / 2 * TKeys.RowBytes(2 * UnitDims);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreFour<TKeys, TValues>(in AttentionQueries queries, int i, byte* k0, int j, byte* ahead)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int tokenBytes = TKeys.RowBytes(queries.HeadDim);
        int headDim = queries.HeadDim;
        short* q0 = queries.Codes + ((long)i * headDim);
        short* q1 = q0 + headDim;
        short* q2 = q1 + headDim;
        short* q3 = q2 + headDim;
        byte* k1 = k0 + tokenBytes;
        byte* k2 = k1 + tokenBytes;
        byte* k3 = k2 + tokenBytes;
        Vector512<int> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<int> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<int> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<int> s30 = default, s31 = default, s32 = default, s33 = default;
        for (int d = 0; d < headDim; d += UnitDims)
        {
            int bytes = TKeys.RowBytes(d);
            if (ahead != null)
                ahead = Fetch(ahead, Tile * TValues.RowBytes(UnitDims));

            TKeys.KeyCodes(k0 + bytes, out Vector512<short> a0, out Vector512<short> b0);
            TKeys.KeyCodes(k1 + bytes, out Vector512<short> a1, out Vector512<short> b1);
            TKeys.KeyCodes(k2 + bytes, out Vector512<short> a2, out Vector512<short> b2);
            TKeys.KeyCodes(k3 + bytes, out Vector512<short> a3, out Vector512<short> b3);
            Vector512<short> x = Vector512.Load(q0 + d), y = Vector512.Load(q0 + d + (UnitDims / 2));
            s00 += Dot(x, a0) + Dot(y, b0);
            s01 += Dot(x, a1) + Dot(y, b1);
            s02 += Dot(x, a2) + Dot(y, b2);
            s03 += Dot(x, a3) + Dot(y, b3);
            (x, y) = (Vector512.Load(q1 + d), Vector512.Load(q1 + d + (UnitDims / 2)));
            s10 += Dot(x, a0) + Dot(y, b0);
            s11 += Dot(x, a1) + Dot(y, b1);
            s12 += Dot(x, a2) + Dot(y, b2);
            s13 += Dot(x, a3) + Dot(y, b3);
            (x, y) = (Vector512.Load(q2 + d), Vector512.Load(q2 + d + (UnitDims / 2)));
            s20 += Dot(x, a0) + Dot(y, b0);
            s21 += Dot(x, a1) + Dot(y, b1);
            s22 += Dot(x, a2) + Dot(y, b2);
            s23 += Dot(x, a3) + Dot(y, b3);
            (x, y) = (Vector512.Load(q3 + d), Vector512.Load(q3 + d + (UnitDims / 2)));
            s30 += Dot(x, a0) + Dot(y, b0);
            s31 += Dot(x, a1) + Dot(y, b1);
            s32 += Dot(x, a2) + Dot(y, b2);
            s33 += Dot(x, a3) + Dot(y, b3);
        }

        StoreScores<TKeys>(queries, i, j, SumsOf(s00, s01, s02, s03));
        StoreScores<TKeys>(queries, i + 1, j, SumsOf(s10, s11, s12, s13));
        StoreScores<TKeys>(queries, i + 2, j, SumsOf(s20, s21, s22, s23));
        StoreScores<TKeys>(queries, i + 3, j, SumsOf(s30, s31, s32, s33));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreOne<TKeys, TValues>(in AttentionQueries queries, int i, byte* k0, int j, byte* ahead)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int tokenBytes = TKeys.RowBytes(queries.HeadDim);
        short* q = queries.Codes + ((long)i * queries.HeadDim);
        byte* k1 = k0 + tokenBytes;
        byte* k2 = k1 + tokenBytes;
        byte* k3 = k2 + tokenBytes;
        Vector512<int> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < queries.HeadDim; d += UnitDims)
        {
            int bytes = TKeys.RowBytes(d);
            if (ahead != null)
                ahead = Fetch(ahead, Tile * TValues.RowBytes(UnitDims));

            Vector512<short> x = Vector512.Load(q + d), y = Vector512.Load(q + d + (UnitDims / 2));
            TKeys.KeyCodes(k0 + bytes, out Vector512<short> a, out Vector512<short> b);
            s0 += Dot(x, a) + Dot(y, b);
            TKeys.KeyCodes(k1 + bytes, out a, out b);
            s1 += Dot(x, a) + Dot(y, b);
            TKeys.KeyCodes(k2 + bytes, out a, out b);
            s2 += Dot(x, a) + Dot(y, b);
            TKeys.KeyCodes(k3 + bytes, out a, out b);
            s3 += Dot(x, a) + Dot(y, b);
        }

        StoreScores<TKeys>(queries, i, j, SumsOf(s0, s1, s2, s3));
    }

    // Two keys a step, of which each query's weights are one lane's pair.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddFour<TKeys, TValues>(in AttentionQueries queries, int i, int d, byte* value, int tokens, byte* ahead)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int tokenBytes = TValues.RowBytes(queries.HeadDim);
        int* weight = (int*)(queries.WeightCodes + (i * KvCache.PageTokens));
        Vector512<int> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<int> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<int> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<int> s30 = default, s31 = default, s32 = default, s33 = default;
        for (int* end = weight + ((tokens + 1) / 2); weight < end; weight++)
        {
            TValues.ValueCodes(
                value, value + tokenBytes, out Vector512<short> c0, out Vector512<short> c1, out Vector512<short> c2, out Vector512<short> c3);
            value += 2 * tokenBytes;
            if (ahead != null)
                ahead = Fetch(ahead, TKeys.RowBytes(2 * UnitDims));

            Vector512<short> w = Vector512.Create(weight[0]).AsInt16();
            s00 += Dot(w, c0);
            s01 += Dot(w, c1);
            s02 += Dot(w, c2);
            s03 += Dot(w, c3);
            w = Vector512.Create(weight[KvCache.PageTokens / 2]).AsInt16();
            s10 += Dot(w, c0);
            s11 += Dot(w, c1);
            s12 += Dot(w, c2);
            s13 += Dot(w, c3);
            w = Vector512.Create(weight[KvCache.PageTokens]).AsInt16();
            s20 += Dot(w, c0);
            s21 += Dot(w, c1);
            s22 += Dot(w, c2);
            s23 += Dot(w, c3);
            w = Vector512.Create(weight[KvCache.PageTokens * 3 / 2]).AsInt16();
            s30 += Dot(w, c0);
            s31 += Dot(w, c1);
            s32 += Dot(w, c2);
            s33 += Dot(w, c3);
        }

        StoreSums(queries, i, d, s00, s01, s02, s03);
        StoreSums(queries, i + 1, d, s10, s11, s12, s13);
        StoreSums(queries, i + 2, d, s20, s21, s22, s23);
        StoreSums(queries, i + 3, d, s30, s31, s32, s33);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddOne<TKeys, TValues>(in AttentionQueries queries, int i, int d, byte* value, int tokens, byte* ahead)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int tokenBytes = TValues.RowBytes(queries.HeadDim);
        int* weight = (int*)(queries.WeightCodes + (i * KvCache.PageTokens));
        Vector512<int> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int* end = weight + ((tokens + 1) / 2); weight < end; weight++)
        {
            TValues.ValueCodes(
                value, value + tokenBytes, out Vector512<short> c0, out Vector512<short> c1, out Vector512<short> c2, out Vector512<short> c3);
            value += 2 * tokenBytes;
            if (ahead != null)
                ahead = Fetch(ahead, TKeys.RowBytes(2 * UnitDims));

            Vector512<short> w = Vector512.Create(*weight).AsInt16();
            s0 += Dot(w, c0);
            s1 += Dot(w, c1);
            s2 += Dot(w, c2);
            s3 += Dot(w, c3);
        }

        StoreSums(queries, i, d, s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Fetch(byte* lines, int bytes)
    {
        for (int line = 0; line < bytes; line += 64)
            Sse.Prefetch1(lines + line);
        return lines + bytes;
    }

    // Σ q · (c − middle) of four keys.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreScores<TFormat>(in AttentionQueries queries, int i, int j, Vector128<int> sums)
        where TFormat : struct, IPageFormat
    {
        Vector128<int> centred = sums - Vector128.Create(TFormat.CodeMiddle * queries.CodeSums[i]);
        (Vector128.ConvertToSingle(centred) * queries.Units[i]).Store(queries.Weights + (i * KvCache.PageTokens) + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreSums(
        in AttentionQueries queries, int i, int d, Vector512<int> s0, Vector512<int> s1, Vector512<int> s2, Vector512<int> s3)
    {
        float* sums = queries.Sums + ((long)i * queries.HeadDim) + d;
        var shrink = Vector512.Create(queries.Shrink[i]);
        var unit = Vector512.Create(queries.WeightUnits[i]);
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(s0), unit, Vector512.Load(sums) * shrink).Store(sums);
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(s1), unit, Vector512.Load(sums + 16) * shrink).Store(sums + 16);
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(s2), unit, Vector512.Load(sums + 32) * shrink).Store(sums + 32);
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(s3), unit, Vector512.Load(sums + 48) * shrink).Store(sums + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Dot(Vector512<short> a, Vector512<short> b) => Avx512BW.MultiplyAddAdjacent(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> SumsOf(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d)
    {
        Vector256<int> ab = Avx2.HorizontalAdd(a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper());
        Vector256<int> cd = Avx2.HorizontalAdd(c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper());
        Vector256<int> abcd = Avx2.HorizontalAdd(ab, cd);
        return abcd.GetLower() + abcd.GetUpper();
    }
}
