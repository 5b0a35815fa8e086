using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One head of one row an item, one page after the other: scores of the page's keys into scratch, the running maximum and sum of the
/// softmax, then the values weighted into y. q: [T, H · 2 · Hd], y: [T, H · Hd], float in words of four; scratch: [T, H · 64], or
/// [T, H · (64 + Hd)] where the query is turned as the keys are.
/// </summary>
[Instantiation(typeof(F32PageFormat), typeof(F32PageFormat))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat))]
internal readonly partial struct GatedAttentionKernel<TKeys, TValues>(
    Matrix<Float4> q,
    KvPages<TKeys, TValues> pages,
    PagedRows rows,
    int heads,
    int headEights,
    Matrix<float> scratch,
    Matrix<Float4> y) : IPortableKernel
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    public int Items => q.Rows * heads;

    public static void GatedAttention(Index1D thread, int threads, GatedAttentionKernel<TKeys, TValues> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / heads;
        int head = item - (row * heads);
        int kvHead = head / (heads / pages.KvHeads);
        int headWords = 2 * headEights;
        ArrayView<Float4> query = q.Row(row).SubView(2 * head * headWords, headWords);
        ArrayView<Float4> output = y.Row(row).SubView(head * headWords, headWords);
        int ownColumns = KvCache.PageTokens + (TKeys.IsQuantized ? 4 * headWords : 0);
        ArrayView<float> own = scratch.Row(row).SubView(head * ownColumns, ownColumns);
        ArrayView<float> scores = own.SubView(0, KvCache.PageTokens);
        if (TKeys.IsQuantized)
            query = Turned(query, own.SubView(KvCache.PageTokens, 4 * headWords));
        float total = TKeys.IsQuantized ? Total(query) : 0;
        ArrayView<int> table = rows.Table(row);
        int length = rows.Positions[row] + 1;

        for (int i = 0; i < headWords; i++)
            output[i] = new Float4(0, 0, 0, 0);
        float max = float.NegativeInfinity;
        float sum = 0;
        float zeros = 0;                                    // Σ weight · zero: a part of every sum of values
        for (int first = 0; first < length; first += KvCache.PageTokens)
        {
            int page = table[(int)((uint)first / KvCache.PageTokens)];
            int keys = XMath.Min(length - first, KvCache.PageTokens);
            float pageMax = Score(query, total, pages.KeyBlock(page, kvHead), keys, scores);
            float higher = XMath.Max(max, pageMax);
            float shrink = XMath.Exp(max - higher);         // of what earlier pages gave; 0 at the first
            max = higher;
            sum = (sum * shrink) + Weigh(scores, keys, max);
            ArrayView<UInt4> values = pages.ValueBlock(page, kvHead);
            if (TValues.IsQuantized)
                zeros = ScaleWeights(PageBlock.Scales<TValues>(values, pages.HeadDim), keys, scores, zeros * shrink);
            for (int i = 0; i < headWords; i++)
                output[i] *= shrink;
            AddValues(output, values, keys, scores);
        }

        if (TValues.IsQuantized)
        {
            for (int i = 0; i < headWords; i++)
                output[i] += new Float4(zeros, zeros, zeros, zeros);
            Hadamard.Turn(output.Cast<float>(), pages.HeadDim);
        }

        Gate(output, q.Row(row).SubView(((2 * head) + 1) * headWords, headWords), 1 / sum);
    }

    // scores[j] = q · k[j] / sqrt(Hd) and their maximum, four keys at a time; past the end the last key stands in.
    private float Score(ArrayView<Float4> query, float total, ArrayView<UInt4> block, int keys, ArrayView<float> scores)
    {
        ArrayView<UInt4> scales = PageBlock.Scales<TKeys>(block, pages.HeadDim);
        float scale = 1 / XMath.Sqrt((float)(8 * headEights));
        float max = float.NegativeInfinity;
        int last = keys - 1;
        for (int j = 0; j < keys; j += 4)
        {
            ArrayView<UInt4> k0 = PageBlock.Row<TKeys>(block, pages.HeadDim, j);
            ArrayView<UInt4> k1 = PageBlock.Row<TKeys>(block, pages.HeadDim, XMath.Min(j + 1, last));
            ArrayView<UInt4> k2 = PageBlock.Row<TKeys>(block, pages.HeadDim, XMath.Min(j + 2, last));
            ArrayView<UInt4> k3 = PageBlock.Row<TKeys>(block, pages.HeadDim, XMath.Min(j + 3, last));
            float s0 = 0;
            float s1 = 0;
            float s2 = 0;
            float s3 = 0;
            for (int i = 0; i < headEights; i++)
            {
                Float4 low = query[2 * i];
                Float4 high = query[(2 * i) + 1];
                Float8 w0 = TKeys.Load(k0, i);
                s0 += Float4.Dot(low, w0.Low) + Float4.Dot(high, w0.High);
                Float8 w1 = TKeys.Load(k1, i);
                s1 += Float4.Dot(low, w1.Low) + Float4.Dot(high, w1.High);
                Float8 w2 = TKeys.Load(k2, i);
                s2 += Float4.Dot(low, w2.Low) + Float4.Dot(high, w2.High);
                Float8 w3 = TKeys.Load(k3, i);
                s3 += Float4.Dot(low, w3.Low) + Float4.Dot(high, w3.High);
            }

            s0 = ScoreOf(s0, total, scales, j) * scale;
            s1 = ScoreOf(s1, total, scales, XMath.Min(j + 1, last)) * scale;
            s2 = ScoreOf(s2, total, scales, XMath.Min(j + 2, last)) * scale;
            s3 = ScoreOf(s3, total, scales, XMath.Min(j + 3, last)) * scale;
            scores[j] = s0;
            scores[j + 1] = s1;
            scores[j + 2] = s2;
            scores[j + 3] = s3;
            max = XMath.Max(max, XMath.Max(XMath.Max(s0, s1), XMath.Max(s2, s3)));
        }

        return max;
    }

    // Turns scores into e^(score − max) and returns their sum. Weights past the end, up to a multiple of four, become 0.
    private static float Weigh(ArrayView<float> scores, int keys, float max)
    {
        float sum = 0;
        for (int j = 0; j < keys; j++)
        {
            float weight = XMath.Exp(scores[j] - max);
            scores[j] = weight;
            sum += weight;
        }

        for (int j = keys; (j & 3) != 0; j++)
            scores[j] = 0;
        return sum;
    }

    // output += Σ weight[j] · v[j], four values at a time; past the end the last value stands in with weight 0.
    private void AddValues(ArrayView<Float4> output, ArrayView<UInt4> block, int keys, ArrayView<float> weights)
    {
        int last = keys - 1;
        for (int j = 0; j < keys; j += 4)
        {
            ArrayView<UInt4> v0 = PageBlock.Row<TValues>(block, pages.HeadDim, j);
            ArrayView<UInt4> v1 = PageBlock.Row<TValues>(block, pages.HeadDim, XMath.Min(j + 1, last));
            ArrayView<UInt4> v2 = PageBlock.Row<TValues>(block, pages.HeadDim, XMath.Min(j + 2, last));
            ArrayView<UInt4> v3 = PageBlock.Row<TValues>(block, pages.HeadDim, XMath.Min(j + 3, last));
            float p0 = weights[j];
            float p1 = weights[j + 1];
            float p2 = weights[j + 2];
            float p3 = weights[j + 3];
            for (int i = 0; i < headEights; i++)
            {
                Float8 w0 = TValues.Load(v0, i);
                Float8 w1 = TValues.Load(v1, i);
                Float8 w2 = TValues.Load(v2, i);
                Float8 w3 = TValues.Load(v3, i);
                output[2 * i] += ((w0.Low * p0) + (w1.Low * p1)) + ((w2.Low * p2) + (w3.Low * p3));
                output[(2 * i) + 1] += ((w0.High * p0) + (w1.High * p1)) + ((w2.High * p2) + (w3.High * p3));
            }
        }
    }

    private void Gate(ArrayView<Float4> output, ArrayView<Float4> gate, float scale)
    {
        for (int i = 0; i < 2 * headEights; i++)
        {
            Float4 o = output[i];
            Float4 g = gate[i];
            output[i] = new Float4(
                o.X * scale * Sigmoid(g.X), o.Y * scale * Sigmoid(g.Y), o.Z * scale * Sigmoid(g.Z), o.W * scale * Sigmoid(g.W));
        }
    }

    private ArrayView<Float4> Turned(ArrayView<Float4> query, ArrayView<float> target)
    {
        ArrayView<Float4> turned = target.Cast<Float4>();
        for (int i = 0; i < 2 * headEights; i++)
            turned[i] = query[i];
        Hadamard.Turn(target, pages.HeadDim);
        return turned;
    }

    // Σq, which the zeros of keys are multiplied with.
    private float Total(ArrayView<Float4> query)
    {
        float total = 0;
        for (int i = 0; i < 2 * headEights; i++)
            total += Float4.Dot(query[i], new Float4(1, 1, 1, 1));
        return total;
    }

    // q · (scale · c + zero) = scale · (q · c) + zero · Σq.
    private static float ScoreOf(float product, float total, ArrayView<UInt4> scales, int token)
    {
        if (!TKeys.IsQuantized)
            return product;
        Float2 scale = TKeys.LoadScale(scales, token);
        return (product * scale.X) + (total * scale.Y);
    }

    // Weights times the scales of their values; returns the zeros so far and those of these values, weighted.
    private static float ScaleWeights(ArrayView<UInt4> scales, int keys, ArrayView<float> weights, float zeros)
    {
        for (int j = 0; j < keys; j++)
        {
            Float2 scale = TValues.LoadScale(scales, j);
            float weight = weights[j];                      // once: ILGPU moves a second load behind the store
            zeros += weight * scale.Y;
            weights[j] = weight * scale.X;
        }

        return zeros;
    }

    private static float Sigmoid(float x) => 1 / (1 + XMath.Exp(-x));
}
