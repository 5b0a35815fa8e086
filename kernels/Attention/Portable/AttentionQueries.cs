using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Queries that one CPU thread takes through a sequence's pages, in its own memory. Values, Sums: [Count, Hd] in the order of the pages'
/// vectors; Weights: [Count, 64]; the others: [Count].
/// </summary>
internal readonly unsafe struct AttentionQueries
{
    public readonly int Count;
    public readonly int HeadDim;
    public readonly float* Values;
    public readonly float* Sums;

    /// <summary>Of a page's keys: first their scores, then e^(score − maximum), 0 for those past a query's end.</summary>
    public readonly float* Weights;

    /// <summary>Of the scores so far.</summary>
    public readonly float* Max;

    /// <summary>Of the weights so far, relative to the maximum.</summary>
    public readonly float* Mass;

    /// <summary>What sums of earlier pages are multiplied with, because this page has raised the maximum.</summary>
    public readonly float* Shrink;

    /// <summary>Keys of the sequence that a query attends to.</summary>
    public readonly int* Lengths;

    /// <summary>Those of them in this page.</summary>
    public readonly int* Keys;

    public AttentionQueries(int headDim, int count)
    {
        Count = count;
        HeadDim = headDim;
        int padded = (count + CpuVectors.Width - 1) / CpuVectors.Width * CpuVectors.Width;
        Values = CpuVectors.Scratch(((long)count * ((2 * headDim) + KvCache.PageTokens)) + (5L * padded));
        Sums = Values + ((long)count * headDim);
        Weights = Sums + ((long)count * headDim);
        Max = Weights + ((long)count * KvCache.PageTokens);
        Mass = Max + padded;
        Shrink = Mass + padded;
        Lengths = (int*)(Shrink + padded);
        Keys = Lengths + padded;
    }

    /// <summary>Takes query i over: [Hd] floats.</summary>
    public void Load<TStorage, TFormat>(int i, float* query, int length)
        where TStorage : unmanaged
        where TFormat : struct, IPageFormat<TStorage>
    {
        float* values = Values + ((long)i * HeadDim);
        float* sums = Sums + ((long)i * HeadDim);
        for (int pair = 0; pair < HeadDim; pair += AttentionShare.PairDims)
        {
            for (int e = 0; e < AttentionShare.PairDims; e++)
            {
                values[pair + e] = query[pair + TFormat.ElementOf(e)];
                sums[pair + e] = 0;
            }
        }

        Max[i] = float.NegativeInfinity;
        Mass[i] = 0;
        Lengths[i] = length;
    }

    /// <summary>Counts each query's keys in the page that begins with this one.</summary>
    public void BeginPage(int firstKey)
    {
        for (int i = 0; i < Count; i++)
            Keys[i] = Math.Clamp(Lengths[i] - firstKey, 0, KvCache.PageTokens);
    }

    /// <summary>y = sums / mass · σ(gate), all [Hd].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Gate<TStorage, TFormat>(int i, float* gate, float* y)
        where TStorage : unmanaged
        where TFormat : struct, IPageFormat<TStorage>
    {
        float* sums = Sums + ((long)i * HeadDim);
        for (int pair = 0; pair < HeadDim; pair += AttentionShare.PairDims)
        {
            for (int e = 0; e < AttentionShare.PairDims; e++)
                y[pair + TFormat.ElementOf(e)] = sums[pair + e];
        }

        var scale = Vector512.Create(1 / Mass[i]);
        for (int d = 0; d < HeadDim; d += CpuVectors.Width)
            (Vector512.Load(y + d) * scale * CpuVectors.Sigmoid(Vector512.Load(gate + d))).Store(y + d);
    }
}
