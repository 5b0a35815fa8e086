using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Norm and rotation of one head of one row a warp, query heads before key heads; a key head's warp also writes key and value to their
/// page. q: [T, H · 2 · Hd], k, v: [T, Hkv · Hd], all float. Hd is a multiple of 32, at most 256.
/// </summary>
[LaunchBounds(128)]
internal readonly struct QkNormRotaryAppendKernel<TStorage, TFormat>(
    Matrix<float> q, Matrix<float> k, Matrix<float> v, QkNormWeights norms, KvPages<TStorage> pages, PagedRows rows) : IGroupKernel
    where TStorage : unmanaged
    where TFormat : struct, IPageFormat<TStorage>
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 32 * Warps;

    public const int MostHeadDim = 256;

    private const int Warps = 4;

    private int QueryHeads => q.Columns / (2 * pages.HeadDim);

    /// <summary>A group per row and four heads.</summary>
    public KernelConfig Config =>
        new(new Index3D(q.Rows, (QueryHeads + pages.KvHeads + Warps - 1) / Warps, 1), new Index3D(GroupSize, 1, 1));

    public static void QkNormRotaryAppend(QkNormRotaryAppendKernel<TStorage, TFormat> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Warps * MostHeadDim);
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int row = Grid.IdxX;
        int head = (Grid.IdxY * Warps) + warp;
        int position = rows.Positions[row];
        int headDim = pages.HeadDim;
        int heads = QueryHeads;
        bool isQuery = head < heads;
        bool present = head < heads + pages.KvHeads;
        int kvHead = present && !isQuery ? head - heads : 0;
        ArrayView<float> values = shared.SubView(warp * MostHeadDim, MostHeadDim);
        ArrayView<float> x = isQuery ? q.Row(row).SubView(2 * head * headDim, headDim) : k.Row(row).SubView(kvHead * headDim, headDim);
        ArrayView<float> weight = isQuery ? norms.Q : norms.K;

        float squares = 0;
        for (int d = lane; d < headDim; d += 32)
        {
            float value = x[d];
            values[d] = value;
            squares += value * value;
        }

        float scale = Float32.Rsqrt((WarpReduce.Sum(squares) / headDim) + norms.Eps);
        for (int d = lane; d < headDim; d += 32)
            values[d] = values[d] * scale * (1 + weight[d]);
        Group.Barrier();                                        // a pair's halves lie in two lanes
        if (isQuery)
        {
            for (int d = lane; d < headDim; d += 32)
                x[d] = Turned(values, d, position);
        }
        else if (present)
        {
            Append(values, v.Row(row).SubView(kvHead * headDim, headDim), row, kvHead, position);
        }
    }

    private void Append(ArrayView<float> key, ArrayView<float> value, int row, int kvHead, int position)
    {
        int headDim = pages.HeadDim;
        int block = (int)((uint)position / KvCache.PageTokens);
        int page = rows.PageTable[rows.RowSlot[row], block];
        int token = position - (block * KvCache.PageTokens);
        ArrayView<TStorage> keys = pages.KeyBlock(page, kvHead).SubView(token * headDim, headDim);
        ArrayView<TStorage> values = pages.ValueBlock(page, kvHead).SubView(token * headDim, headDim);
        for (int d = Group.IdxX & 31; d < headDim; d += 32)
        {
            keys[d] = TFormat.Store(Turned(key, d, position));
            values[d] = TFormat.Store(value[d]);
        }
    }

    // Dimensions i and i + Frequencies make a pair; those from 2 · Frequencies on are not turned.
    private float Turned(ArrayView<float> values, int d, int position)
    {
        float own = values[d];
        int frequencies = norms.Rotary.Frequencies;
        if (d >= 2 * frequencies)
            return own;
        bool isFirst = d < frequencies;
        Rotation turn = norms.Rotary.At(position, isFirst ? d : d - frequencies);
        float other = values[isFirst ? d + frequencies : d - frequencies];
        return isFirst ? (own * turn.Cos) - (other * turn.Sin) : (own * turn.Cos) + (other * turn.Sin);
    }
}
