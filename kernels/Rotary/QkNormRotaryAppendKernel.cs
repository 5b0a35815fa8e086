using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Norm and rotation of one head of one row a warp, query heads before key heads; a key head's warp also writes key and value to their
/// page. q: [T, H · 2 · Hd], k, v: [T, Hkv · Hd], all float. Hd is a multiple of 32, at most 256.
/// </summary>
[LaunchBounds(128)]
[Instantiation(typeof(F32PageFormat), typeof(F32PageFormat))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat))]
internal readonly struct QkNormRotaryAppendKernel<TKeys, TValues>(
    Matrix<float> q, Matrix<float> k, Matrix<Float4> v, QkNormWeights norms, KvPages<TKeys, TValues> pages, PagedRows rows) : IGroupKernel
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 32 * Warps;

    public const int MostHeadDim = 256;

    private const int Warps = 4;

    private int QueryHeads => q.Columns / (2 * pages.HeadDim);

    /// <summary>A group per row and four heads.</summary>
    public KernelConfig Config =>
        new(new Index3D(q.Rows, (QueryHeads + pages.KvHeads + Warps - 1) / Warps, 1), new Index3D(GroupSize, 1, 1));

    public static void QkNormRotaryAppend(QkNormRotaryAppendKernel<TKeys, TValues> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Warps * MostHeadDim);
        ArrayView<Float4> sharedKeys = SharedMemory.Allocate<Float4>(Warps * MostHeadDim / 4);
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
        ArrayView<Float4> keyWords = sharedKeys.SubView(warp * (MostHeadDim / 4), MostHeadDim / 4);
        ArrayView<float> keys = keyWords.Cast<float>();
        for (int d = lane; d < headDim; d += 32)
        {
            float turned = Turned(values, d, position);
            if (isQuery)
                x[d] = turned;
            else
                keys[d] = turned;
        }

        Group.Barrier();                                        // a lane takes eight neighbours from now on
        if (present && !isQuery)
            Append(keyWords, v.Row(row).SubView((kvHead * headDim) >> 2, headDim >> 2), row, kvHead);
    }

    private void Append(ArrayView<Float4> key, ArrayView<Float4> value, int row, int kvHead)
    {
        PagePlace place = rows.PlaceOf(row);
        Append<TKeys>(key, pages.KeyBlock(place.Page, kvHead), place.Token);
        Append<TValues>(value, pages.ValueBlock(place.Page, kvHead), place.Token);
    }

    // Lanes past the head's last eight dimensions stand in with its last.
    private void Append<TFormat>(ArrayView<Float4> values, ArrayView<UInt4> block, int token)
        where TFormat : struct, IPageFormat
    {
        int lane = Group.IdxX & 31;
        int last = (pages.HeadDim >> 3) - 1;
        int eight = XMath.Min(lane, last);
        var x = new Float8(values[2 * eight], values[(2 * eight) + 1]);
        PageScale scale = default;
        if (TFormat.IsQuantized)
        {
            x = Hadamard.OfWarp(x, pages.HeadDim);
            bool isOwn = lane <= last;
            float none = isOwn ? Differences(x.Low) + Differences(x.High) : 0;          // NaN where any element is or is infinite
            none = WarpReduce.Sum(none);
            float least = -WarpReduce.Max(isOwn ? -XMath.Min(Least(x.Low), Least(x.High)) : float.NegativeInfinity);
            float most = WarpReduce.Max(isOwn ? XMath.Max(Most(x.Low), Most(x.High)) : float.NegativeInfinity);
            scale = TFormat.ScaleOf(least + none, most + none);
            if (lane == 0)
                TFormat.StoreScale(PageBlock.Scales<TFormat>(block, pages.HeadDim), token, scale);
        }

        if (lane <= last)
            TFormat.Store(PageBlock.Row<TFormat>(block, pages.HeadDim, token), eight, x, scale);
    }

    private static float Differences(Float4 x) => ((x.X - x.X) + (x.Y - x.Y)) + ((x.Z - x.Z) + (x.W - x.W));

    private static float Least(Float4 x) => XMath.Min(XMath.Min(x.X, x.Y), XMath.Min(x.Z, x.W));

    private static float Most(Float4 x) => XMath.Max(XMath.Max(x.X, x.Y), XMath.Max(x.Z, x.W));

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
