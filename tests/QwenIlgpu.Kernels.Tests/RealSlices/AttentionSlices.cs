using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Attention with its 24 heads of 256 on 4 kv heads, 64 of 256 dimensions turned; heads of other sizes are of other models.</summary>
internal static class AttentionSlices
{
    private const int Heads = 24;
    private const int KvHeads = 4;
    private const int HeadDim = 256;
    private const int RotaryDim = 64;
    private const float Eps = 1e-6f;
    private const double Theta = 1e7;

    public static IEnumerable<Slice> All =>
    [
        Decode("Head256", Heads, KvHeads, HeadDim, [1000, 193]),
        Decode("Head128", 8, 1, 128, [1000, 193]),
        Decode("Head64", 6, 2, 64, [1000, 193]),
        .. CodedDecode<Int8PageFormat, Int8PageFormat>(),
        .. CodedDecode<Int4PageFormat, Int4PageFormat>(),
        .. CodedDecode<Int8PageFormat, Int4PageFormat>(),
        .. Prefill<Bf16PageFormat, Bf16PageFormat>(),
        .. Prefill<Int8PageFormat, Int8PageFormat>(),
        .. Prefill<Int4PageFormat, Int4PageFormat>(),
        .. Prefill<Int8PageFormat, Int4PageFormat>(),
        Portable<F32PageFormat, F32PageFormat>(),
        Portable<Bf16PageFormat, Bf16PageFormat>(),
        Portable<Int8PageFormat, Int8PageFormat>(),
        Portable<Int4PageFormat, Int4PageFormat>(),
        Portable<Int8PageFormat, Int4PageFormat>(),
        Gather<F32PageFormat, F32PageFormat>(),
        Gather<Bf16PageFormat, Bf16PageFormat>(),
        Gather<Int8PageFormat, Int8PageFormat>(),
        Gather<Int4PageFormat, Int4PageFormat>(),
        Gather<Int8PageFormat, Int4PageFormat>(),
        Append<F32PageFormat, F32PageFormat>(),
        Append<Bf16PageFormat, Bf16PageFormat>(),
        Append<Int8PageFormat, Int8PageFormat>(),
        Append<Int4PageFormat, Int4PageFormat>(),
        Append<Int8PageFormat, Int4PageFormat>(),
        NormRotaryAppend<F32PageFormat, F32PageFormat>(),
        NormRotaryAppend<Bf16PageFormat, Bf16PageFormat>(),
        NormRotaryAppend<Int8PageFormat, Int8PageFormat>(),
        NormRotaryAppend<Int4PageFormat, Int4PageFormat>(),
        NormRotaryAppend<Int8PageFormat, Int4PageFormat>(),
        new("QkNormRotaryKernel", NormRotary),
    ];

    private static Slice Decode(string head, int heads, int kvHeads, int headDim, int[] lengths) =>
        Decode<Bf16PageFormat, Bf16PageFormat>($"DecodeAttentionKernel<{head}>", heads, kvHeads, headDim, lengths);

    private static IEnumerable<Slice> CodedDecode<TKeys, TValues>()
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        string formats = $"{typeof(TKeys).Name}, {typeof(TValues).Name}";
        return
        [
            Decode<TKeys, TValues>($"CodedDecodeAttentionKernel<Head256, {formats}>", Heads, KvHeads, HeadDim, [1000, 193]),
            Decode<TKeys, TValues>($"CodedDecodeAttentionKernel<Head128, {formats}>", 8, 1, 128, [1000, 193]),
            Decode<TKeys, TValues>($"CodedDecodeAttentionKernel<Head64, {formats}>", 6, 2, 64, [1000, 193]),
        ];
    }

    private static Slice Decode<TKeys, TValues>(string kernel, int heads, int kvHeads, int headDim, int[] lengths)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat =>
        new(kernel, device =>
        {
            PagedSequences<TKeys, TValues> paged = DecodeRuns<TKeys, TValues>.Filled(device, heads, kvHeads, headDim, lengths);
            (int, int)[] rows = [.. lengths.Select((n, s) => (s, n - 1))];
            float[] q = DecodeRuns<TKeys, TValues>.Queries(rows.Length, heads, headDim);
            float[] y = DecodeRuns<TKeys, TValues>.Attend(device, paged, heads, headDim, q, rows);
            return new SliceResult(() => Assert.That(
                DecodeRuns<TKeys, TValues>.Deviation(y, paged, headDim, q, rows),
                Is.LessThanOrEqualTo(DecodeRuns<TKeys, TValues>.Allowed))).Leaving(y);
        });

    private static IEnumerable<Slice> Prefill<TKeys, TValues>()
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat =>
    [
        Prefill<TKeys, TValues, Two>("Twice<Twice<OutputTile64>>, Two", 6, 1, HeadDim),
        Prefill<TKeys, TValues, One>("Twice<Twice<OutputTile64>>, One", 6, 1, HeadDim),
        Prefill<TKeys, TValues, One>("Twice<OutputTile64>, One", 8, 1, 128),
        Prefill<TKeys, TValues, One>("OutputTile64, One", 6, 2, 64),
    ];

    private static Slice Prefill<TKeys, TValues, THeads>(string tile, int heads, int kvHeads, int headDim)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat
        where THeads : struct, IConstant =>
        new($"PrefillAttentionKernel<{typeof(TKeys).Name}, {typeof(TValues).Name}, {tile}>", device =>
        {
            var step = new PrefillAttentionTests<TKeys, TValues>.Step(device, heads, kvHeads, headDim, (60, 70), (0, 3));
            float[] y = step.Run<THeads>();
            return new SliceResult(() => step.AssertClose(y)).Leaving(y);
        });

    private static Slice Portable<TKeys, TValues>()
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => new($"GatedAttentionKernel<{typeof(TKeys).Name}, {typeof(TValues).Name}>", device =>
    {
        int[] lengths = [1, 65, 200];
        PagedSequences<TKeys, TValues> paged = Filled<TKeys, TValues>(device, lengths);
        (int, int)[] rows = [.. lengths.Select((n, s) => (s, n - 1))];
        float[] q = Seeded.Floats(4, (long)rows.Length * Heads * 2 * HeadDim, 6);
        float[] y = paged.Attend(q, rows);

        // Averages of values below 1. A score of 256 products in float is off by some 2^-22 of its size, about 10, and a weight by that
        // share of itself. Codes have products several times as large, from which that with the zero is taken.
        return new SliceResult(() => AssertClose(y, paged.Reference(q, rows), KvPages<TKeys, TValues>.AreQuantized ? 2e-5 : 1e-5)).Leaving(y);
    });

    private static Slice Append<TKeys, TValues>()
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => new($"KvAppendKernel<{typeof(TKeys).Name}, {typeof(TValues).Name}>", device =>
    {
        const int Length = 65;
        const int Width = KvHeads * HeadDim;
        (float[] K, float[] V) sequence = (Seeded.Floats(1, Length * Width), Seeded.Floats(2, Length * Width));
        var paged = new PagedSequences<TKeys, TValues>(device, Heads, KvHeads, HeadDim, [sequence], seed: 3);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));
        (UInt4[] keys, UInt4[] values) = (paged.Keys, paged.Values);
        return new SliceResult(() =>
        {
            (double[] k, double[] v) = paged.StoredOf(0);
            AssertHeld<TKeys>(sequence.K, k);
            AssertHeld<TValues>(sequence.V, v);
        }).Leaving(keys).Leaving(values);
    });

    private static Slice Gather<TKeys, TValues>()
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => new($"KvGatherKernel<{typeof(TKeys).Name}, {typeof(TValues).Name}>", device =>
    {
        const int Length = 65;
        const int Width = KvHeads * HeadDim;
        PagedSequences<TKeys, TValues> paged = Filled<TKeys, TValues>(device, [Length]);
        Matrix<float> k = device.Poisoned<float>(Length, Width);
        Matrix<float> v = device.Poisoned<float>(Length, Width);
        device.Run(KvGather.Bind(device.Loader, paged.Pages, paged.Rows(PagedSequences<TKeys, TValues>.Rows(0, 0, Length)), k, v));
        (float[] keys, float[] values) = (device.Download(k), device.Download(v));
        return new SliceResult(() =>
        {
            // Turning adds up 256 elements below 1 in float, eight times over.
            (double[] storedKeys, double[] storedValues) = paged.StoredOf(0);
            AssertClose(keys, storedKeys, 2e-6);
            AssertClose(values, storedValues, 2e-6);
        }).Leaving(keys).Leaving(values);
    });

    // Of elements in [−1, 1): a turned row's are below 4, and a step of 4 bits half of 8 / 15; few elements have the errors of many.
    private static void AssertHeld<TFormat>(float[] wanted, double[] stored)
        where TFormat : struct, IPageFormat
    {
        double most = default(TFormat) switch { F32PageFormat => 0, Bf16PageFormat => 1.0 / 512, Int8PageFormat => 0.07, _ => 1.2 };
        double square = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.That(stored[i], Is.EqualTo(wanted[i]).Within(most), $"element {i}");
            square += (stored[i] - wanted[i]) * (stored[i] - wanted[i]);
        }

        Assert.That(Math.Sqrt(square / wanted.Length), Is.LessThanOrEqualTo(most / (TFormat.IsQuantized ? 8 : 2)), "the root of the mean square");
    }

    private static Slice NormRotaryAppend<TKeys, TValues>()
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => new($"QkNormRotaryAppendKernel<{typeof(TKeys).Name}, {typeof(TValues).Name}>", device =>
    {
        var step = new QkNormRotaryAppendTests<TKeys, TValues>.Step(device, 5, Heads, KvHeads, HeadDim, RotaryDim);
        (float[] q, UInt4[] keys, UInt4[] values) = step.Run();
        return new SliceResult(() => QkNormRotaryAppendTests<TKeys, TValues>.Check(step, q, keys, values))
            .Leaving(q).Leaving(keys).Leaving(values);
    });

    private static SliceResult NormRotary(TestDevice device)
    {
        float[] q = Seeded.Floats(1, 3 * Heads * 2 * HeadDim, 2);
        float[] k = Seeded.Floats(2, 3 * KvHeads * HeadDim, 3);
        float[] qNorm = Seeded.Floats(3, HeadDim);
        float[] kNorm = Seeded.Floats(4, HeadDim);
        int[] positions = [0, 262_143, 15_838];
        Matrix<float> qs = device.Upload((float[])q.Clone(), 3, Heads * 2 * HeadDim);
        Matrix<float> ks = device.Upload((float[])k.Clone(), 3, KvHeads * HeadDim);
        device.Run(QkNormRotary.Bind(
            device.Loader, qs, ks, Heads, KvHeads, HeadDim,
            new QkNormWeights(
                device.Upload(qNorm), device.Upload(kNorm), RotaryTable.Build(262_144, RotaryDim, Theta).Upload(device.Upload), Eps),
            device.Upload(positions)));
        (float[] turnedQ, float[] turnedK) = (device.Download(qs), device.Download(ks));

        // Values reach 7: x / rms below 2, weight + 1 below 2, a pair's sum √2 of that. Their float rounding is some 2^-22 in all.
        const double Tolerance = 3e-6;
        return new SliceResult(() =>
        {
            AssertClose(turnedQ, Reference(q, 2 * HeadDim, qNorm), Tolerance);
            AssertClose(turnedK, Reference(k, HeadDim, kNorm), Tolerance);
        }).Leaving(turnedQ).Leaving(turnedK);

        double[] Reference(float[] x, int stride, float[] norm) => QkNormRotaryReference.Run(
            Seeded.ToDouble(x), stride, HeadDim, Seeded.ToDouble(norm), positions, RotaryDim, Theta, Eps);
    }

    private static PagedSequences<TKeys, TValues> Filled<TKeys, TValues>(TestDevice device, int[] lengths)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        const int Width = KvHeads * HeadDim;
        var paged = new PagedSequences<TKeys, TValues>(
            device, Heads, KvHeads, HeadDim, [.. lengths.Select((n, s) => (Seeded.Floats(s, n * Width), Seeded.Floats(-1 - s, n * Width)))], seed: 5);
        paged.Append([.. lengths.SelectMany((n, s) => PagedSequences<TKeys, TValues>.Rows(s, 0, n))]);
        return paged;
    }
}
