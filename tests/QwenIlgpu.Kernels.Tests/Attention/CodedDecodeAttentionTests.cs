using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Split-KV attention on pages of codes: a toy shape on the CPU accelerator, real heads on the PTX machine.</summary>
[UnderSchedules(TypeArgs = [typeof(Int8PageFormat), typeof(Int8PageFormat)])]
[UnderSchedules(TypeArgs = [typeof(Int4PageFormat), typeof(Int4PageFormat)])]
[UnderSchedules(TypeArgs = [typeof(Int8PageFormat), typeof(Int4PageFormat)])]
[NonParallelizable]
internal sealed class CodedDecodeAttentionTests<TKeys, TValues>
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    private static string Usual => WarpDevice.Usual;

    // [H, Hkv, Hd] and lengths of the sequences; every sequence's last row and one before it.
    private static IEnumerable<TestCaseData> Shapes()
    {
        if (TestDevice.Kind != "cuda")
            yield return new TestCaseData("cpu", 3, 1, 64, (int[])[65]).SetCategory("Exhaustive");
        yield return new(Usual, 6, 2, 64, (int[])[1, 2, 63, 64, 65, 127, 128, 129, 193]);
        yield return new(Usual, 1, 1, 64, (int[])[1021]);
        yield return new(Usual, 7, 1, 128, (int[])[1, 130, 257]);
        yield return new TestCaseData(Usual, 8, 2, 128, (int[])[65, 191, 1025]).SetCategory("Exhaustive");
        yield return new(Usual, 12, 2, 256, (int[])[3, 128, 193]);
        yield return new TestCaseData(Usual, 24, 4, 256, (int[])[1, 128, 193]).SetCategory("Exhaustive");
        yield return new(Usual, 7, 1, 256, (int[])[1100]);              // nine splits: merged in two steps
        yield return new TestCaseData(Usual, 6, 1, 64, (int[])[8191]).SetCategory("Exhaustive");
        yield return new TestCaseData(Usual, 6, 1, 64, (int[])[12_345]).SetCategory("Exhaustive");      // splits of four pages
    }

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceOnWhatThePagesHold(string deviceName, int heads, int kvHeads, int headDim, int[] lengths)
    {
        TestDevice device = WarpDevice.Named(deviceName);
        PagedSequences<TKeys, TValues> paged = DecodeRuns<TKeys, TValues>.Filled(device, heads, kvHeads, headDim, lengths);
        (int, int)[] rows =
            [.. lengths.SelectMany((n, s) => n > 1 && lengths.Length < 5 ? new[] { (s, n - 1), (s, n - 2) } : [(s, n - 1)])];
        float[] q = DecodeRuns<TKeys, TValues>.Queries(rows.Length, heads, headDim);

        double deviation = DecodeRuns<TKeys, TValues>.Deviation(device, paged, heads, headDim, q, rows);

        TestContext.Out.WriteLine($"{deviation:F3} of {DecodeRuns<TKeys, TValues>.Allowed} units");
        Assert.That(deviation, Is.LessThanOrEqualTo(DecodeRuns<TKeys, TValues>.Allowed));
    }

    [TestCase(64)]
    [TestCase(256)]
    public void GivesABatchTheBitsOfItsMembers(int headDim)
    {
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<TKeys, TValues> paged = DecodeRuns<TKeys, TValues>.Filled(device, 6, 2, headDim, [1, 64, 65, 330]);
        paged.Append([(-1, 0)]);
        (int, int)[] rows = [(3, 329), (0, 0), (2, 63), (-1, 0), (2, 64), (3, 328), (1, 63), (3, 200)];
        float[] q = DecodeRuns<TKeys, TValues>.Queries(rows.Length, 6, headDim);

        float[] y = DecodeRuns<TKeys, TValues>.Attend(device, paged, 6, headDim, q, rows);

        for (int row = 0; row < rows.Length; row++)
        {
            float[] alone = DecodeRuns<TKeys, TValues>.Attend(
                device, paged, 6, headDim, DecodeRuns<TKeys, TValues>.Row(q, row, rows.Length), rows[row]);
            Assert.That(alone, Is.EqualTo(DecodeRuns<TKeys, TValues>.Row(y, row, rows.Length)), $"row {row}, {rows[row]}");
        }
    }

    // Scores rise and fall by more than what a maximum may lag behind, and one key has nearly all weight: at either end and around the
    // splits' boundaries.
    [TestCase(0)]
    [TestCase(127)]
    [TestCase(128)]
    [TestCase(1151)]
    [TestCase(2000)]
    public void FindsTheOneKeyThatMatters(int place)
    {
        const int Length = 2001;
        TestDevice device = WarpDevice.Named(Usual);
        float[] k = Seeded.Floats(1, Length * 64);
        float[] v = Seeded.Floats(2, Length * 64);
        float[] q = [.. Enumerable.Range(0, 128).Select(d => d < 64 ? (d % 3 == 0 ? 4f : -4f) : 30f)];
        for (int d = 0; d < 64; d++)
            k[(place * 64) + d] = q[d];
        var paged = new PagedSequences<TKeys, TValues>(device, 1, 1, 64, [(k, v)], seed: 3);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));

        float[] y = DecodeRuns<TKeys, TValues>.Attend(device, paged, 1, 64, q, (0, Length - 1));

        double[] values = paged.StoredOf(0).V;
        for (int d = 0; d < 64; d++)
            Assert.That(y[d], Is.EqualTo(values[(place * 64) + d]).Within(1e-4), $"dimension {d}");
    }

    // Two heads whose sums lie in one lane: what the second page's key does to the sums of one must not touch those of the other.
    [TestCase(0)]
    [TestCase(1)]
    public void ShrinksTheSumsOfOneHeadAlone(int loud)
    {
        const int Length = 128;
        const int Place = 70;
        TestDevice device = WarpDevice.Named(Usual);
        float[] k = Seeded.Floats(1, Length * 64);
        float[] q = [.. Enumerable.Range(0, 256).Select(i => i % 128 >= 64 ? 30f : i / 128 != loud ? 0 : i % 3 == 0 ? 4f : -4f)];
        for (int d = 0; d < 64; d++)
            k[(Place * 64) + d] = q[(loud * 128) + d];
        var paged = new PagedSequences<TKeys, TValues>(device, 2, 1, 64, [(k, Seeded.Floats(2, Length * 64))], seed: 3);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));

        float[] y = DecodeRuns<TKeys, TValues>.Attend(device, paged, 2, 64, q, (0, Length - 1));

        double[] values = paged.StoredOf(0).V;
        for (int d = 0; d < 64; d++)
        {
            double mean = Enumerable.Range(0, Length).Average(token => values[(token * 64) + d]);
            Assert.That(y[(loud * 64) + d], Is.EqualTo(values[(Place * 64) + d]).Within(1e-4), $"dimension {d} of the head that has found its key");
            Assert.That(y[((1 - loud) * 64) + d], Is.EqualTo(mean).Within(1e-4), $"dimension {d} of the head that asks for nothing");
        }
    }

    // Codes of rows without range have a scale of 0, or one that f16 holds as a subnormal alone.
    [TestCase(0f)]
    [TestCase(1e-6f)]
    [TestCase(1f)]
    public void TakesRowsOfOneNumber(float size)
    {
        const int Length = 150;
        TestDevice device = WarpDevice.Named(Usual);
        float[] rows = [.. Enumerable.Range(0, Length * 128).Select(i => size * (1 + (i / 128 % 7)))];
        var paged = new PagedSequences<TKeys, TValues>(device, 4, 2, 64, [(rows, rows)], seed: 3);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));
        float[] q = DecodeRuns<TKeys, TValues>.Queries(1, 4, 64);

        float[] y = DecodeRuns<TKeys, TValues>.Attend(device, paged, 4, 64, q, (0, Length - 1));

        // A turned row has all 64 elements in one, up to 56 times the size, and sums of operands come to 90 sizes before their excess is
        // taken off: cut at 2^-23 a few times, and that spread over the elements again.
        double[] expected = paged.Reference(q, (0, Length - 1));
        for (int i = 0; i < y.Length; i++)
            Assert.That(y[i], Is.EqualTo(expected[i]).Within(1e-3 * size), $"element {i}");
    }

    // Three pages stand in for 4,096. A key's weight counts as often as its page is named.
    [TestCase(262_144, Category = "Exhaustive")]
    [TestCase(20_007)]
    public void MatchesReferenceInLongSequences(int length)
    {
        const int Distinct = 3 * KvCache.PageTokens;
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<TKeys, TValues> paged = DecodeRuns<TKeys, TValues>.Filled(device, 2, 1, 64, [Distinct]);
        (double[] keys, double[] values) = paged.StoredOf(0);
        float[] q = DecodeRuns<TKeys, TValues>.Queries(1, 2, 64);
        int[] blocks = [.. Enumerable.Range(0, 4096).Select(block => (block * 7 / 5) % 3)];
        var times = new int[Distinct];
        for (int token = 0; token < length; token++)
            times[(blocks[token / KvCache.PageTokens] * KvCache.PageTokens) + (token % KvCache.PageTokens)]++;

        float[] y = DecodeRuns<TKeys, TValues>.Attend(
            device, paged.Pages, device.Upload([.. blocks.Select(block => paged.Table[1, block])], 1, 4096), 2, 64, q, [0], [length - 1]);

        for (int head = 0; head < 2; head++)
        {
            double[] scores = [.. Enumerable.Range(0, Distinct).Select(i =>
                Enumerable.Range(0, 64).Sum(d => q[(head * 128) + d] * keys[(i * 64) + d]) / 8)];
            double[] weights = [.. scores.Select((s, i) => times[i] * Math.Exp(s - scores.Max()))];
            for (int d = 0; d < 64; d++)
            {
                double gate = 1 / (1 + Math.Exp(-q[(head * 128) + 64 + d])) / weights.Sum();
                double expected = gate * weights.Select((w, i) => w * values[(i * 64) + d]).Sum();

                // Values below 1; a split adds up to 64 pages, whose sums are 24 codes' worth above what they stand for.
                Assert.That(y[(head * 64) + d], Is.EqualTo(expected).Within(1e-4), $"head {head}, dimension {d}");
            }
        }
    }

    // 64 splits of four pages and of two: what the first read more are the pages, each of its sectors once, and in each warp its name.
    [Category("Exhaustive")]
    [TestCase(64)]
    [TestCase(256)]
    public void ReadsEverySectorOfAPageOnce(int headDim)
    {
        const int MorePages = 128;
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "the PTX machine counts sectors");
        PagedSequences<TKeys, TValues> paged = DecodeRuns<TKeys, TValues>.Filled(MachineDevice.Shared, 6, 1, headDim, [64]);
        float[] q = DecodeRuns<TKeys, TValues>.Queries(1, 6, headDim);
        Matrix<int> table = MachineDevice.Shared.Upload([.. Enumerable.Repeat(paged.Table[1, 0], 2 * MorePages)], 1, 2 * MorePages);

        PtxTraffic less = Traffic(MorePages * KvCache.PageTokens);
        PtxTraffic more = Traffic(2 * MorePages * KvCache.PageTokens);

        int pageSectors = (PageBlock.Words<TKeys>(headDim) + PageBlock.Words<TValues>(headDim)) / 2;
        Assert.That(more.Sectors - less.Sectors, Is.EqualTo(MorePages * (pageSectors + 4)));
        Assert.That(more.Conflicts, Is.Zero);

        PtxTraffic Traffic(int length)
        {
            PtxTraffic traffic = PtxTraffic.None;
            MachineDevice.Schedule(
                1, (_, counts) => traffic = PtxTraffic.Of(counts),
                () => DecodeRuns<TKeys, TValues>.Attend(MachineDevice.Shared, paged.Pages, table, 6, headDim, q, [0], [length - 1]));
            return traffic;
        }
    }
}
