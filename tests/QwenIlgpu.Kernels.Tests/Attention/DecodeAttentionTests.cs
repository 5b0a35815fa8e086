using ILGPU;
using static QwenIlgpu.Kernels.Tests.DecodeRuns<QwenIlgpu.Kernels.Bf16PageFormat, QwenIlgpu.Kernels.Bf16PageFormat>;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Split-KV attention on bf16 pages: toy shapes on the CPU accelerator, real heads on the PTX machine.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DecodeAttentionTests
{
    // What a planted fault gives at least.
    private const double Wrong = 100;

    private static string Usual => WarpDevice.Usual;

    // [H, Hkv, Hd] and lengths of the sequences; every sequence's last row and one before it.
    private static IEnumerable<TestCaseData> Shapes()
    {
        if (TestDevice.Kind != "cuda")
            yield return new("cpu", 3, 1, 64, (int[])[65]);
        yield return new(Usual, 6, 2, 64, (int[])[1, 2, 63, 64, 65, 127, 128, 129, 1000]);
        yield return new(Usual, 1, 1, 64, (int[])[1021]);
        yield return new TestCaseData(Usual, 8, 1, 128, (int[])[1, 129, 1025]).SetCategory("Exhaustive");
        yield return new TestCaseData(Usual, 8, 2, 128, (int[])[65, 191, 257]).SetCategory("Exhaustive");
        yield return new(Usual, 24, 4, 256, (int[])[1, 128, 193]);
        yield return new(Usual, 7, 1, 256, (int[])[127, 1100]);         // nine splits: merged in two steps
        yield return new(Usual, 6, 1, 64, (int[])[8191]);
        yield return new(Usual, 6, 1, 64, (int[])[8257]);
    }

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReference(string deviceName, int heads, int kvHeads, int headDim, int[] lengths)
    {
        TestDevice device = WarpDevice.Named(deviceName);
        PagedSequences<Bf16PageFormat, Bf16PageFormat> paged = Filled(device, heads, kvHeads, headDim, lengths);
        (int, int)[] rows =
            [.. lengths.SelectMany((n, s) => n > 1 && lengths.Length < 5 ? new[] { (s, n - 1), (s, n - 2) } : [(s, n - 1)])];
        float[] q = Queries(rows.Length, heads, headDim);

        double deviation = Deviation(device, paged, heads, headDim, q, rows);

        TestContext.Out.WriteLine($"{deviation:F3} of {Allowed} units");
        Assert.That(deviation, Is.LessThanOrEqualTo(Allowed));
    }

    [TestCase(2)]
    [TestCase(8)]
    public void MatchesReferenceInRowsOfOneSequence(int count)
    {
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<Bf16PageFormat, Bf16PageFormat> paged = Filled(device, 6, 2, 64, [700, 131]);
        (int, int)[] rows = PagedSequences<Bf16PageFormat, Bf16PageFormat>.Rows(1, 131 - count, count);
        float[] q = Queries(count, 6, 64);

        Assert.That(Deviation(device, paged, 6, 64, q, rows), Is.LessThanOrEqualTo(Allowed));
    }

    [Test]
    public void GivesABatchTheBitsOfItsMembers()
    {
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<Bf16PageFormat, Bf16PageFormat> paged = Filled(device, 6, 2, 64, [1, 64, 65, 1300]);
        paged.Append([(-1, 0)]);
        (int, int)[] rows = [(3, 1299), (0, 0), (2, 63), (-1, 0), (2, 64), (3, 1298), (1, 63), (3, 700)];
        float[] q = Queries(rows.Length, 6, 64);

        float[] y = Attend(device, paged, 6, 64, q, rows);

        for (int row = 0; row < rows.Length; row++)
        {
            float[] alone = Attend(device, paged, 6, 64, Row(q, row, rows.Length), rows[row]);
            Assert.That(alone, Is.EqualTo(Row(y, row, rows.Length)), $"row {row}, {rows[row]}");
        }
    }

    // The table is the widest there can be, so that most groups of the launch have nothing to do.
    [Test]
    public void KeepsARowsBitsUnderAWiderTable()
    {
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<Bf16PageFormat, Bf16PageFormat> paged = Filled(device, 6, 2, 64, [1300]);
        float[] q = Queries(1, 6, 64);
        int[] blocks = [.. Enumerable.Range(0, 4096).Select(b => b < paged.Table.GetLength(1) ? paged.Table[1, b] : -1)];

        float[] narrow = Attend(device, paged, 6, 64, q, (0, 1299));
        float[] wide = Attend(
            device, paged.Pages, device.Upload([.. new int[4096], .. blocks], 2, 4096), 6, 64, q, [1], [1299]);

        Assert.That(wide, Is.EqualTo(narrow));
    }

    [Test]
    public void LeavesItsTicketsAtZeroForTheNextLaunch()
    {
        TestDevice device = WarpDevice.Named(Usual);
        PagedSequences<Bf16PageFormat, Bf16PageFormat> paged = Filled(device, 2, 2, 64, [1300, 200]);
        (int, int)[] rows = [(0, 1299), (1, 199)];
        Matrix<float> y = device.Poisoned<float>(2, 2 * 64);
        ArrayView<int> tickets = device.Upload(new int[DecodeAttention.Tickets(2, 2)]);
        Launch launch = Bind(
            device, paged.Pages, paged.Rows(rows), 2, 64, Queries(2, 2, 64), tickets, y);

        device.Run(launch);
        float[] first = device.Download(y);
        device.Run(launch);

        Assert.That(device.Download(tickets), Is.All.Zero);
        Assert.That(device.Download(y), Is.EqualTo(first));
    }

    // One key that takes nearly all weight, at either end and around the splits' boundaries.
    [TestCase(0)]
    [TestCase(127)]
    [TestCase(128)]
    [TestCase(1151)]
    [TestCase(1152)]
    [TestCase(2000)]
    public void FindsTheOneKeyThatMatters(int place)
    {
        const int Length = 2001;
        TestDevice device = WarpDevice.Named(Usual);
        float[] k = Seeded.Floats(1, Length * 64);
        float[] v = Seeded.Floats(2, Length * 64);
        float[] q = [.. Enumerable.Range(0, 128).Select(d => d < 64 ? (d % 2 == 0 ? 4f : -4f) : 30f)];
        for (int d = 0; d < 64; d++)
            k[(place * 64) + d] = q[d];
        var paged = new PagedSequences<Bf16PageFormat, Bf16PageFormat>(device, 1, 1, 64, [(k, v)], seed: 3);
        paged.Append(PagedSequences<Bf16PageFormat, Bf16PageFormat>.Rows(0, 0, Length));

        float[] y = Attend(device, paged, 1, 64, q, (0, Length - 1));

        for (int d = 0; d < 64; d++)
            Assert.That(y[d], Is.EqualTo(Bf16.ToFloat(Bf16.FromFloat(v[(place * 64) + d]))).Within(1e-4), $"dimension {d}");
    }

    // Three pages stand in for 4,096. A key's weight counts as often as its page is named.
    [TestCase(262_144, Category = "Exhaustive")]
    [TestCase(250_007)]
    public void MatchesReferenceInLongSequences(int length)
    {
        const int Distinct = 3 * KvCache.PageTokens;
        TestDevice device = WarpDevice.Named(Usual);
        ushort[] keys = Array.ConvertAll(Seeded.Floats(length, Distinct * 64), Bf16.FromFloat);
        ushort[] values = Array.ConvertAll(Seeded.Floats(-length, Distinct * 64), Bf16.FromFloat);
        float[] q = Queries(1, 2, 64);
        int[] table = [.. Enumerable.Range(0, 4096).Select(block => (block * 7 / 5) % 3)];
        var times = new int[Distinct];
        for (int token = 0; token < length; token++)
            times[(table[token / KvCache.PageTokens] * KvCache.PageTokens) + (token % KvCache.PageTokens)]++;

        float[] y = Attend(
            device,
            new KvPages<Bf16PageFormat, Bf16PageFormat>(device.Upload(keys).Cast<UInt4>(), device.Upload(values).Cast<UInt4>(), 3, 1, 64),
            device.Upload(table, 1, 4096),
            2, 64, q, [0], [length - 1]);

        double worst = 0;
        for (int head = 0; head < 2; head++)
        {
            double[] scores = [.. Enumerable.Range(0, Distinct).Select(i => Dot(i, x => x) / 8)];
            double most = Enumerable.Range(0, Distinct).Max(i => Dot(i, Math.Abs) / 8);
            double[] weights = [.. scores.Select((s, i) => times[i] * Math.Exp(s - scores.Max()))];
            for (int d = 0; d < 64; d++)
            {
                double gate = 1 / (1 + Math.Exp(-q[(head * 128) + 64 + d])) / weights.Sum();
                double expected = gate * weights.Select((w, i) => w * Bf16.ToFloat(values[(i * 64) + d])).Sum();
                double magnitude = gate * weights.Select((w, i) => w * Math.Abs(Bf16.ToFloat(values[(i * 64) + d]))).Sum();
                worst = Worse(worst, Math.Abs(y[(head * 64) + d] - expected) / (Unit * (1 + most) * magnitude));
            }

            double Dot(int key, Func<double, double> of) =>
                Enumerable.Range(0, 64).Sum(d => of((double)q[(head * 128) + d] * Bf16.ToFloat(keys[(key * 64) + d])));
        }

        TestContext.Out.WriteLine($"{worst:F3} of {Allowed} units");
        Assert.That(worst, Is.LessThanOrEqualTo(Allowed));
    }

    // split · blocks of a split + split, of two splits: the second leaves its first block out.
    [Test]
    public void IsWrongWithASplitThatBeginsABlockLate()
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        const string FirstBlock = @"(?<=mov\.b32\s+(%r\d+), %ctaid\.z;[^:]*)mul\.lo\.s32\s+(%r\d+), \1, (%r\d+);";
        double deviation = 0;

        MachineDevice.Edited(
            PtxEdit.Of("Kernel_DecodeAttention", FirstBlock, "mad.lo.s32 $2, $1, $3, $1;"),
            () => deviation = RunOnce(MachineDevice.Shared, 2, 1, 64, 256));

        Assert.That(deviation, Is.GreaterThan(Wrong));
    }

    [Test]
    public void LeavesPagesOfFloatToThePortableKernel()
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Names[0]);
        KvPages<F32PageFormat, F32PageFormat> pages = PagedSequences<F32PageFormat, F32PageFormat>.Poisoned(device, 1, 2, 64);

        ArgumentException error = Assert.Throws<ArgumentException>(() => DecodeAttention.Bind(
            device.Loader, device.Poisoned<float>(2, 768), pages,
            new PagedRows(device.Poisoned<int>(2), device.Poisoned<int>(2), device.Poisoned<int>(1, 2)), 6,
            device.Poisoned<float>(2, 816), device.Poisoned<int>(36), device.Poisoned<float>(2, 6 * 64)))!;

        Assert.That(error.Message, Is.EqualTo("decode_attention: no kernel reads pages of F32PageFormat and F32PageFormat"));
        Assert.That(DecodeAttention.Supports<F32PageFormat, F32PageFormat>(6, 2, 64), Is.False);
        Assert.That(DecodeAttention.Supports<Int8PageFormat, Int4PageFormat>(6, 2, 64));
    }

    // Of four codes of a half the third in the place of the second.
    [Test]
    public void IsWrongWithANibbleOfAnotherDimension() => Assert.That(
        DeviationOfInt4(PtxEdit.Of("Kernel_DecodeAttention", @"shr\.u32\s+(%r\d+), (%r\d+), 5;", "shr.u32 $1, $2, 1;")),
        Is.GreaterThan(Wrong));

    // An operand of a key or of a value taken for one that is 24 too large, where it is 23.
    [Test]
    public void IsWrongWithOperandsThatAreTooLargeByOneLess()
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        const string Excess = "0fC1C00000";
        Func<string, string>[] edits = PtxEdit.OneByOne("Kernel_DecodeAttention", Excess, "0fC1B80000", () => RunInt4Once());

        Assert.That(edits, Has.Length.EqualTo(2));
        foreach (Func<string, string> edit in edits)
            Assert.That(DeviationOfInt4(edit), Is.GreaterThan(Wrong));
    }

    private static double DeviationOfInt4(Func<string, string>? edit)
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        double deviation = 0;
        MachineDevice.Edited(edit, () => deviation = RunInt4Once());
        return deviation;
    }

    private static double RunInt4Once() => DecodeRuns<Int4PageFormat, Int4PageFormat>.RunOnce(MachineDevice.Shared, 2, 1, 64, 200);

    [TestCase(6, 2, 96, 1152, 3120, 18, "decode_attention: head size is 96, it must be 64, 128 or 256")]
    [TestCase(9, 1, 64, 1152, 1224, 18, "decode_attention: 9 query heads are not 1 to 8 for each of 1 kv heads")]
    [TestCase(6, 2, 64, 768, 700, 36, "decode_attention: columns of scratch is 700, of the parts of a row is 816")]
    [TestCase(6, 2, 64, 768, 816, 17, "decode_attention: 17 tickets are fewer than 36 of 2 rows and 2 kv heads")]
    [TestCase(6, 2, 64, 384, 816, 36, "decode_attention: columns of q is 384, heads · 2 · head size is 768")]
    public void RejectsOperandsThatDoNotFit(
        int heads, int kvHeads, int headDim, int qColumns, int scratchColumns, int tickets, string message)
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Names[0]);

        ArgumentException error = Assert.Throws<ArgumentException>(() => DecodeAttention.Bind(
            device.Loader, device.Poisoned<float>(2, qColumns), PagedSequences<Bf16PageFormat, Bf16PageFormat>.Poisoned(device, 1, kvHeads, headDim),
            new PagedRows(device.Poisoned<int>(2), device.Poisoned<int>(2), device.Poisoned<int>(1, 2)), heads,
            device.Poisoned<float>(2, scratchColumns), device.Poisoned<int>(tickets), device.Poisoned<float>(2, heads * headDim)))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    [TestCase(24, 4, 256, true)]
    [TestCase(6, 2, 64, true)]
    [TestCase(6, 2, 48, false)]
    [TestCase(9, 1, 64, false)]
    public void SaysWhichHeadsItServes(int heads, int kvHeads, int headDim, bool served)
    {
        Assert.That(DecodeAttention.Supports<Bf16PageFormat, Bf16PageFormat>(heads, kvHeads, headDim), Is.EqualTo(served));
    }
}
