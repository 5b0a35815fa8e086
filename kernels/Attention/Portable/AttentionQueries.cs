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

    /// <summary>Of queries that <see cref="AttentionCodes"/> takes: [Count, Hd] whole numbers, and [Count, 64] of a page's weights.</summary>
    public readonly short* Codes;
    public readonly short* WeightCodes;

    /// <summary>What one of a query's codes stands for, over sqrt(Hd), and what one of its weights' does.</summary>
    public readonly float* Units;
    public readonly float* WeightUnits;

    /// <summary>Σ of a query's codes.</summary>
    public readonly int* CodeSums;

    public AttentionQueries(int headDim, int count)
    {
        Count = count;
        HeadDim = headDim;
        int padded = (count + CpuVectors.Width - 1) / CpuVectors.Width * CpuVectors.Width;
        int codeFloats = (headDim + KvCache.PageTokens) / 2;
        Values = CpuVectors.Scratch(((long)count * ((2 * headDim) + KvCache.PageTokens + codeFloats)) + (10L * padded));
        Sums = Values + ((long)count * headDim);
        Weights = Sums + ((long)count * headDim);
        Max = Weights + ((long)count * KvCache.PageTokens);
        Mass = Max + padded;
        Shrink = Mass + padded;
        Totals = Shrink + padded;
        Zeros = Totals + padded;
        Lengths = (int*)(Zeros + padded);
        Keys = Lengths + padded;
        Units = (float*)(Keys + padded);
        WeightUnits = Units + padded;
        CodeSums = (int*)(WeightUnits + padded);
        Codes = (short*)(CodeSums + padded);
        WeightCodes = Codes + ((long)count * headDim);
    }

    /// <summary>Takes query i over: [Hd] floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
        bool isCoded = TKeys.IsQuantized && AttentionCodes.Takes(HeadDim);
        int step = isCoded ? AttentionCodes.UnitDims : AttentionShare.PairDims;
        for (int first = 0; first < HeadDim; first += step)
        {
            for (int e = 0; e < step; e++)
            {
                values[first + e] = query[first + (isCoded ? TKeys.KeyElementOf(e) : TKeys.ElementOf(e))];
                total += values[first + e];
            }
        }

        if (isCoded)
            Units[i] = AttentionCodes.Encode(values, Codes + ((long)i * HeadDim), HeadDim, out CodeSums[i]) / MathF.Sqrt(HeadDim);

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
        bool isCoded = TValues.IsQuantized && AttentionCodes.Takes(HeadDim);
        int step = isCoded ? AttentionCodes.UnitDims : AttentionShare.PairDims;
        for (int first = 0; first < HeadDim; first += step)
        {
            for (int e = 0; e < step; e++)
                y[first + (isCoded ? TValues.ValueElementOf(e) : TValues.ElementOf(e))] = sums[first + e] + Zeros[i];
        }

        if (TValues.IsQuantized)
            Hadamard.Turn(y, HeadDim);

        var scale = Vector512.Create(1 / Mass[i]);
        for (int d = 0; d < HeadDim; d += CpuVectors.Width)
            (Vector512.Load(y + d) * scale * CpuVectors.Sigmoid(Vector512.Load(gate + d))).Store(y + d);
    }
}
