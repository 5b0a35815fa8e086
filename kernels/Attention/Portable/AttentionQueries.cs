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

    /// <summary>Σ of a query's elements, which the zeros of keys are multiplied with.</summary>
    public readonly float* Totals;

    /// <summary>Σ weight · zero of the values so far, which belongs to each of the sums.</summary>
    public readonly float* Zeros;

    /// <summary>Keys of the sequence that a query attends to.</summary>
    public readonly int* Lengths;

    /// <summary>Those of them in this page.</summary>
    public readonly int* Keys;

    public AttentionQueries(int headDim, int count)
    {
        Count = count;
        HeadDim = headDim;
        int padded = (count + CpuVectors.Width - 1) / CpuVectors.Width * CpuVectors.Width;
        Values = CpuVectors.Scratch(((long)count * ((2 * headDim) + KvCache.PageTokens)) + (7L * padded));
        Sums = Values + ((long)count * headDim);
        Weights = Sums + ((long)count * headDim);
        Max = Weights + ((long)count * KvCache.PageTokens);
        Mass = Max + padded;
        Shrink = Mass + padded;
        Totals = Shrink + padded;
        Zeros = Totals + padded;
        Lengths = (int*)(Zeros + padded);
        Keys = Lengths + padded;
    }

    /// <summary>Takes query i over: [Hd] floats.</summary>
    public void Load<TKeys>(int i, float* query, int length)
        where TKeys : struct, IPageFormat
    {
        float* values = Values + ((long)i * HeadDim);
        float* sums = Sums + ((long)i * HeadDim);
        if (TKeys.IsQuantized)
        {
            new Span<float>(query, HeadDim).CopyTo(new Span<float>(sums, HeadDim));
            Hadamard.Turn(sums, HeadDim);
            query = sums;
        }

        float total = 0;
        for (int pair = 0; pair < HeadDim; pair += AttentionShare.PairDims)
        {
            for (int e = 0; e < AttentionShare.PairDims; e++)
            {
                values[pair + e] = query[pair + TKeys.ElementOf(e)];
                total += values[pair + e];
            }
        }

        new Span<float>(sums, HeadDim).Clear();
        Totals[i] = total;
        Zeros[i] = 0;
        Max[i] = float.NegativeInfinity;
        Mass[i] = 0;
        Lengths[i] = length;
    }

    /// <summary>Counts each query's keys in the page that begins with this one, and returns the most of any.</summary>
    public int BeginPage(int firstKey)
    {
        int most = 0;
        for (int i = 0; i < Count; i++)
        {
            Keys[i] = Math.Clamp(Lengths[i] - firstKey, 0, KvCache.PageTokens);
            most = Math.Max(most, Keys[i]);
        }

        return most;
    }

    /// <summary>y = sums / mass · σ(gate), all [Hd].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Gate<TValues>(int i, float* gate, float* y)
        where TValues : struct, IPageFormat
    {
        float* sums = Sums + ((long)i * HeadDim);
        for (int pair = 0; pair < HeadDim; pair += AttentionShare.PairDims)
        {
            for (int e = 0; e < AttentionShare.PairDims; e++)
                y[pair + TValues.ElementOf(e)] = sums[pair + e] + Zeros[i];
        }

        if (TValues.IsQuantized)
            Hadamard.Turn(y, HeadDim);

        var scale = Vector512.Create(1 / Mass[i]);
        for (int d = 0; d < HeadDim; d += CpuVectors.Width)
            (Vector512.Load(y + d) * scale * CpuVectors.Sigmoid(Vector512.Load(gate + d))).Store(y + d);
    }
}
