using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Attention of chunks of rows on the tensor cores: on the PTX machine or on a GPU, and one toy on ILGPU's CPU accelerator.</summary>
[UnderSchedules(TypeArgs = [typeof(Bf16PageFormat), typeof(Bf16PageFormat)])]
[UnderSchedules(TypeArgs = [typeof(Int8PageFormat), typeof(Int8PageFormat)])]
[UnderSchedules(TypeArgs = [typeof(Int4PageFormat), typeof(Int4PageFormat)])]
[UnderSchedules(TypeArgs = [typeof(Int8PageFormat), typeof(Int4PageFormat)])]
[NonParallelizable]
internal sealed class PrefillAttentionTests<TKeys, TValues>
    where TKeys : struct, ITensorCoreFormat
    where TValues : struct, ITensorCoreFormat
{
    // Sequences of every kind of chunk: one row, off-tile and whole, cut by the first row's place or by the last one's.
    private static readonly (int History, int Rows)[] Steps =
        [(0, 1), (0, 17), (63, 63), (64, 64), (1, 65), (0, 129), (63, 200), (1000, 3)];

    private static TestDevice Device => WarpDevice.Named(WarpDevice.Usual);

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    /// <summary>Two blocks of keys of one head.</summary>
    public static void RunOnce(TestDevice device) => new Step(device, 1, 1, 64, (0, 70)).Run<One>();

    [TestCase(6, 2, 64)]
    [TestCase(1, 1, 64)]
    [TestCase(8, 1, 128, Category = "Exhaustive")]
    [TestCase(3, 1, 128, Category = "Exhaustive")]
    public void MatchesReference(int heads, int kvHeads, int headDim)
    {
        var step = new Step(Device, heads, kvHeads, headDim, Steps);

        float[] y = step.Run<One>();

        step.AssertClose(y);
    }

    [Test]
    public void MatchesReferenceAfterALongHistory()
    {
        // Rows of codes are turned back by the definition, which takes the test's time.
        var step = new Step(Device, 1, 1, 64, (TKeys.IsQuantized ? 4_000 : 20_000, 3));

        step.AssertClose(step.Run<One>());
    }

    // A real kv head of the 27B, in groups of 128 KiB.
    [Test]
    public void MatchesReferenceTwoHeadsAGroup()
    {
        var step = new Step(Device, 6, 1, 256, (60, 70), (0, 3));

        step.AssertClose(step.Run<Two>());
    }

    // The head of 256 where a group has 100 KiB at most: two blocks of keys, the later one's rows behind zeros.
    [Test]
    public void MatchesReferenceOneHeadOf256()
    {
        var step = new Step(Device, 1, 1, 256, (64, 2));

        step.AssertClose(step.Run<One>());
    }

    [Test]
    public void MatchesReferenceOnTheCpuAccelerator()
    {
        var step = new Step(WarpDevice.Named(WarpDevice.Names[0]), 1, 1, 64, (67, 1));

        step.AssertClose(step.Run<One>());
    }

    // However a prompt is cut into steps, and whatever else is in a step.
    [Test]
    public void KeepsBitsWhenAPromptIsCut()
    {
        PagedSequences<TKeys, TValues> paged = Step.Filled(Device, 6, 2, 64, [200, 150]);
        (int, int)[] whole = PagedSequences<TKeys, TValues>.Rows(0, 0, 200);
        float[] q = Step.Queries(350, 6, 64);
        float[] First(int from, int count) => q[(from * 6 * 2 * 64)..((from + count) * 6 * 2 * 64)];

        float[] y = Step.Attend<One>(Device, paged, 6, 64, First(0, 200), whole);
        float[] cut =
        [
            .. Step.Attend<One>(Device, paged, 6, 64, First(0, 5), whole[..5]),
            .. Step.Attend<One>(Device, paged, 6, 64, First(5, 65), whole[5..70]),
            .. Step.Attend<One>(Device, paged, 6, 64, First(70, 1), whole[70..71]),
            .. Step.Attend<One>(Device, paged, 6, 64, First(71, 129), whole[71..]),
        ];
        float[] packed = Step.Attend<One>(Device, paged, 6, 64, 
            [.. First(200, 150), .. First(70, 130)],
            [.. PagedSequences<TKeys, TValues>.Rows(1, 0, 150), .. whole[70..]]);

        Assert.That(cut, Is.EqualTo(y));
        Assert.That(packed[(150 * 6 * 64)..], Is.EqualTo(y[(70 * 6 * 64)..]));
    }

    // Keys behind the last row's are zeros of the tile, or of the next step: neither reaches a row before them.
    [Test]
    public void KeepsBitsWhateverComesLater()
    {
        PagedSequences<TKeys, TValues> paged = Step.Sequences(Device, 2, 1, 64, [100]);
        (int, int)[] rows = PagedSequences<TKeys, TValues>.Rows(0, 0, 100);
        float[] q = Step.Queries(70, 2, 64);
        paged.Append(rows[..70]);
        float[] before = Step.Attend<One>(Device, paged, 2, 64, q, rows[..70]);
        paged.Append(rows[70..]);

        Assert.That(before, Has.None.NaN);
        Assert.That(Step.Attend<One>(Device, paged, 2, 64, q, rows[..70]), Is.EqualTo(before));
    }

    // Nearly all weight on one key, at each end: every other page's share must vanish against it.
    [TestCase(0)]
    [TestCase(299)]
    public void FindsOneLargeScore(int place)
    {
        const int Length = 300;
        const int HeadDim = 64;
        float[] k = Seeded.Floats(1, Length * HeadDim, 0.1f);
        float[] v = Seeded.Floats(2, Length * HeadDim);
        Array.Fill(k, 8f, place * HeadDim, HeadDim);
        float[] q = [.. Enumerable.Repeat(8f, HeadDim), .. Seeded.Floats(3, HeadDim)];
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, 1, HeadDim, [(k, v)], seed: 5);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));

        float[] y = Step.Attend<One>(Device, paged, 1, HeadDim, q, (0, Length - 1));

        // A weight of 1 is a bf16 number; times the scale of quantised values it is rounded to one, and values are below 1.
        double[] expected = paged.Reference(q, (0, Length - 1));
        double tolerance = TValues.IsQuantized ? 1.0 / 256 : 1e-6;
        for (int i = 0; i < HeadDim; i++)
            Assert.That(y[i], Is.EqualTo(expected[i]).Within(tolerance), $"dimension {i}");
    }

    // Block 1 of the keys read from the page of block 0.
    [Test]
    public void IsWrongWithThePageOfAnotherBlock()
    {
        var step = new Step(Device, 1, 1, 64, (67, 1));

        step.NamePageOfTheFirstBlockTwice();

        Assert.That(step.Deviation(step.Run<One>()), Is.GreaterThan(2));
    }

    // The first two rows, each with the key that follows it.
    [Test]
    public void IsWrongWithOneKeyMore()
    {
        var step = new Step(Device, 1, 1, 64, (1, 2));

        Assert.That(step.Deviation(step.Run<One>(), keysFewer: 1), Is.GreaterThan(2));
    }

    [TestCase(3, 2, 64, "prefill_attention: 3 query heads on 2 kv heads of 64: a multiple of them, of 64, 128 or 256")]
    [TestCase(2, 1, 96, "prefill_attention: 2 query heads on 1 kv heads of 96: a multiple of them, of 64, 128 or 256")]
    [TestCase(3, 1, 64, "prefill_attention: 3 heads share a kv head, no multiple of 2, the heads of a group")]
    [TestCase(2, 1, 64, "prefill_attention: columns of q is 8, heads · 2 · head size is 256")]
    public void RejectsOperandsThatDoNotFit(int heads, int kvHeads, int headDim, string message)
    {
        TestDevice device = WarpDevice.Shared;
        KvPages<TKeys, TValues> pages = PagedSequences<TKeys, TValues>.Poisoned(device, 1, kvHeads, headDim);
        var chunks = new ChunkList(device.Upload(0), device.Upload(1), device.Upload(0, 1));

        ArgumentException error = Assert.Throws<ArgumentException>(() => PrefillAttention.Bind<TKeys, TValues, Two>(
            device.Loader, device.Poisoned<float>(1, 8), pages,
            new PagedRows(device.Upload(0), device.Upload(0), device.Upload([0], 1, 1)), chunks, heads, device.Poisoned<float>(1, 1)))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    /// <summary>Sequences of which a step brings the last rows, and what may be expected of it.</summary>
    internal sealed class Step
    {
        private readonly TestDevice device;
        private readonly int heads;
        private readonly int headDim;
        private readonly PagedSequences<TKeys, TValues> paged;
        private readonly (int Sequence, int Position)[] rows;
        private readonly float[] q;

        public Step(TestDevice device, int heads, int kvHeads, int headDim, params (int History, int Rows)[] sequences)
        {
            this.device = device;
            this.heads = heads;
            this.headDim = headDim;
            paged = Filled(device, heads, kvHeads, headDim, [.. sequences.Select(s => s.History + s.Rows)]);
            rows = [.. sequences.SelectMany((s, i) => PagedSequences<TKeys, TValues>.Rows(i, s.History, s.Rows))];
            q = Queries(rows.Length, heads, headDim);
        }

        public static PagedSequences<TKeys, TValues> Sequences(
            TestDevice device, int heads, int kvHeads, int headDim, int[] lengths) => new(
            device, heads, kvHeads, headDim,
            [
                .. lengths.Select((length, s) => (
                    Seeded.Floats((length * headDim) + s, length * kvHeads * headDim),
                    Seeded.Floats(s - (length * headDim), length * kvHeads * headDim))),
            ],
            seed: heads + headDim);

        public static PagedSequences<TKeys, TValues> Filled(TestDevice device, int heads, int kvHeads, int headDim, int[] lengths)
        {
            PagedSequences<TKeys, TValues> paged = Sequences(device, heads, kvHeads, headDim, lengths);
            paged.Append([.. lengths.SelectMany((length, s) => PagedSequences<TKeys, TValues>.Rows(s, 0, length))]);
            return paged;
        }

        // Scores have a standard deviation of about 2: neither even nor all on one key.
        public static float[] Queries(int rows, int heads, int headDim) =>
            Seeded.Floats(rows + heads + headDim, rows * heads * 2 * headDim, 6);

        /// <summary>
        /// Rows of a sequence lie side by side in the order of their positions, so many heads in a group. q: [T, H · 2 · Hd]; returns [T, H · Hd].
        /// </summary>
        public static float[] Attend<THeads>(
            TestDevice device, PagedSequences<TKeys, TValues> paged, int heads, int headDim, float[] q, params (int Sequence, int Position)[] rows)
            where THeads : struct, IConstant
        {
            int[] firstRow = [.. Enumerable.Range(0, rows.Length).Where(i => i == 0 || rows[i - 1].Sequence != rows[i].Sequence), rows.Length];
            ChunkList chunks = device.UploadChunks(
                firstRow, Array.ConvertAll(rows, r => r.Position), ChunkList.MaxChunks(rows.Length, firstRow.Length - 1));
            Matrix<float> y = device.Poisoned<float>(rows.Length, heads * headDim);
            Matrix<float> queries = device.Upload(q, rows.Length, heads * 2 * headDim);
            device.Run(PrefillAttention.Bind<TKeys, TValues, THeads>(device.Loader, queries, paged.Pages, paged.Rows(rows), chunks, heads, y));
            return device.Download(y);
        }

        public float[] Run<THeads>()
            where THeads : struct, IConstant => Attend<THeads>(device, paged, heads, headDim, q, rows);

        /// <summary>Every sequence's second block of keys and values is that of its first from now on.</summary>
        public void NamePageOfTheFirstBlockTwice() => paged.NamePage(block: 1, asThatOf: 0);

        /// <summary>Within both bounds of <see cref="PrefillAttentionBound"/>.</summary>
        public void AssertClose(float[] y)
        {
            double deviation = Deviation(y);
            double[] definition = paged.Reference(q, rows);
            double[] magnitude = paged.Magnitude(q, rows);
            double[] scores = paged.ScoreMagnitude(q, rows);
            double[] allowed = [.. paged.ProductMagnitude(Seeded.ToDouble(q), rows).Select((products, i) =>
                PrefillAttentionBound.OfRoundedQueries(products) + PrefillAttentionBound.OfQueries(magnitude[i], scores[i / headDim]))];
            double worst = PrefillAttentionBound.Worst<TValues>(y, definition, allowed, q, headDim);
            double distance = y.Zip(definition, (a, e) => Math.Abs(a - e)).Max();
            TestContext.Out.WriteLine($"{deviation:F2} and {worst:F2} of what is allowed, {distance:E2} from the definition");
            Assert.That(deviation, Is.LessThanOrEqualTo(1));
            Assert.That(worst, Is.LessThanOrEqualTo(1));
        }

        /// <summary>
        /// The largest distance, in units of what is allowed, from what rounded queries should give with so many keys fewer.
        /// </summary>
        public double Deviation(float[] y, int keysFewer = 0)
        {
            (int Sequence, int Position)[] rows = Array.ConvertAll(this.rows, r => (r.Sequence, r.Position - keysFewer));
            Assert.That(y, Has.Length.EqualTo(rows.Length * heads * headDim));
            double[] rounded = PrefillAttentionBound.Rounded<TKeys>(q, headDim);
            double[] allowed = Array.ConvertAll(paged.ProductMagnitude(rounded, rows), PrefillAttentionBound.OfRoundedQueries);
            return PrefillAttentionBound.Worst<TValues>(y, paged.Reference(rounded, value => value, rows), allowed, q, headDim);
        }
    }
}
