using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Scales and zeros of a page's rows, for one CPU thread: q · (scale · c + zero) is scale · (q · c) + zero · Σq, and what a weight does to a
/// value's codes and to its zero it does to one number each. Of pages that hold floats there are none, and nothing is done.
/// </summary>
internal readonly unsafe struct PageScales<TKeys, TValues>(int headDim, float* memory)
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    /// <summary>Floats that it wants.</summary>
    public const int Floats = 4 * KvCache.PageTokens;

    private readonly float* keyScales = memory;
    private readonly float* keyZeros = memory + KvCache.PageTokens;
    private readonly float* valueScales = memory + (2 * KvCache.PageTokens);
    private readonly float* valueZeros = memory + (3 * KvCache.PageTokens);

    /// <summary>Takes those of a page's first tokens over.</summary>
    public void Load(byte* keys, byte* values, int tokens)
    {
        if (TKeys.IsQuantized)
            TKeys.LoadScales(keys + (KvCache.PageTokens * TKeys.RowBytes(headDim)), tokens, keyScales, keyZeros);
        if (TValues.IsQuantized)
            TValues.LoadScales(values + (KvCache.PageTokens * TValues.RowBytes(headDim)), tokens, valueScales, valueZeros);
    }

    /// <summary>Turns q · c / sqrt(Hd) of a query's keys into their scores.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ToScores(in AttentionQueries queries, int i)
    {
        if (!TKeys.IsQuantized)
            return;
        float* scores = queries.Weights + (i * KvCache.PageTokens);
        var total = Vector512.Create(queries.Totals[i] / MathF.Sqrt(headDim));
        for (int j = 0; j < queries.Keys[i]; j += CpuVectors.Width)
        {
            Vector512<float> scaled = Vector512.Load(scores + j) * Vector512.Load(keyScales + j);
            Vector512.FusedMultiplyAdd(Vector512.Load(keyZeros + j), total, scaled).Store(scores + j);
        }
    }

    /// <summary>Turns a query's weights into those of its values' codes, and adds the zeros so weighted to its own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ToWeights(in AttentionQueries queries, int i)
    {
        int keys = queries.Keys[i];
        if (!TValues.IsQuantized || keys == 0)
            return;
        float* weights = queries.Weights + (i * KvCache.PageTokens);
        Vector512<float> zeros = default;
        for (int j = 0; j < keys; j += CpuVectors.Width)
        {
            // What stands behind the query's own keys may be anything.
            Vector512<float> isOwn = Vector512.LessThan(Vector512<int>.Indices + Vector512.Create(j), Vector512.Create(keys)).AsSingle();
            Vector512<float> weight = Vector512.Load(weights + j);
            zeros = Vector512.FusedMultiplyAdd(weight, Vector512.Load(valueZeros + j) & isOwn, zeros);
            (weight * (Vector512.Load(valueScales + j) & isOwn)).Store(weights + j);
        }

        queries.Zeros[i] = (queries.Zeros[i] * queries.Shrink[i]) + Vector512.Sum(zeros);
    }
}
