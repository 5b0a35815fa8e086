using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Rows of one sequence and the query heads of one kv head together, one page after the other, so that a page is read once for all of
/// them. A query's sums depend on its own keys alone, in an order that the head size fixes: over a key's elements lane by lane, over the
/// keys of a page and over pages one after the other.
/// </summary>
internal static unsafe class AttentionShare
{
    /// <summary>Elements that are loaded together.</summary>
    public const int PairDims = 2 * CpuVectors.Width;

    // Queries, a row's head each, that go through a page together: with their sums they and the page stay in the second-level cache.
    private const int MostQueries = 32;

    public static void Run<TKeys, TValues>(in AttentionOperands operands, int thread, int threads)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int group = operands.Heads / operands.KvHeads;
        int blockRows = Math.Max(1, MostQueries / group);
        int blocks = (operands.Rows + blockRows - 1) / blockRows;
        int pieces = PiecesOfGroup(blocks * operands.KvHeads, group, threads);

        // Later rows have more keys: turn by turn every thread gets some of them.
        for (int item = thread; item < blocks * operands.KvHeads * pieces; item += threads)
        {
            int block = item / pieces / operands.KvHeads;
            int kvHead = item / pieces % operands.KvHeads;
            CpuPart heads = CpuPart.Of(group, item % pieces, pieces);
            int end = Math.Min((block + 1) * blockRows, operands.Rows);
            for (int row = block * blockRows; row < end;)
            {
                int rows = 1;
                while (row + rows < end && operands.RowSlot[row + rows] == operands.RowSlot[row])
                    rows++;
                Attend<TKeys, TValues>(operands, row, rows, kvHead, (kvHead * group) + heads.From, heads.To - heads.From);
                row += rows;
            }
        }
    }

    /// <summary>Into how many parts a kv head's query heads are cut where there is too little for all threads: what takes least time.</summary>
    private static int PiecesOfGroup(int items, int group, int threads)
    {
        int best = 1;
        if (items >= 2 * threads)
            return best;
        int least = int.MaxValue;
        for (int pieces = 1; pieces <= group; pieces++)
        {
            int longest = ((items * pieces) + threads - 1) / threads * ((group + pieces - 1) / pieces);
            if (longest < least)
                (best, least) = (pieces, longest);
        }

        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Attend<TKeys, TValues>(
        in AttentionOperands operands, int firstRow, int rows, int kvHead, int firstHead, int heads)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        var queries = new AttentionQueries(operands.HeadDim, rows * heads);
        int longest = 0;
        for (int i = 0; i < queries.Count; i++)
        {
            int row = firstRow + (i / heads);
            queries.Load<TKeys>(i, Query(operands, row, firstHead + (i % heads)), operands.Positions[row] + 1);
            longest = Math.Max(longest, queries.Lengths[i]);
        }

        int* table = operands.Table(firstRow);
        int keyRowBytes = TKeys.RowBytes(operands.HeadDim);
        int valueRowBytes = TValues.RowBytes(operands.HeadDim);
        bool isCoded = TKeys.IsQuantized && TValues.IsQuantized && AttentionCodes.Takes(operands.HeadDim);
        float* memory = stackalloc float[PageScales<TKeys, TValues>.Floats];
        var scales = new PageScales<TKeys, TValues>(operands.HeadDim, memory);
        for (int first = 0; first < longest; first += KvCache.PageTokens)
        {
            int block = first / KvCache.PageTokens;
            byte* keys = operands.Block<TKeys>(operands.Keys, table[block], kvHead);
            byte* values = operands.Block<TValues>(operands.Values, table[block], kvHead);
            byte* next = first + KvCache.PageTokens < longest ? operands.Block<TKeys>(operands.Keys, table[block + 1], kvHead) : keys;
            int tokens = queries.BeginPage(first);
            scales.Load(keys, values, tokens);
            if (isCoded)
                AttentionCodes.Score<TKeys, TValues>(queries, keys, tokens, values);
            else
                AttentionScores.Score<TKeys>(queries, keys, keyRowBytes, values);
            for (int i = 0; i < queries.Count; i++)
            {
                scales.ToScores(queries, i);
                AttentionScores.Weigh(queries, i);
                scales.ToWeights(queries, i);
            }

            if (isCoded)
                AttentionCodes.Add<TKeys, TValues>(queries, values, tokens, next);
            else
                AttentionValues.Add<TValues>(queries, values, valueRowBytes, next);
        }

        for (int i = 0; i < queries.Count; i++)
        {
            int row = firstRow + (i / heads);
            int head = firstHead + (i % heads);
            queries.Gate<TValues>(
                i, Query(operands, row, head) + operands.HeadDim,
                operands.Y + (row * operands.YStride) + ((long)head * operands.HeadDim));
        }
    }

    private static float* Query(in AttentionOperands operands, int row, int head) =>
        operands.Q + (row * operands.QStride) + (2L * head * operands.HeadDim);
}
