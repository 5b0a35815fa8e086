using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Attention by splits of the keys: groups of eight warps, on PoCL or on a GPU.</summary>
[NonParallelizable]
internal sealed class DecodeAttentionTests
{
    // Keys and values are what the pages hold, and the queries lose 2^-17 of themselves to two bf16 (2^-9 each): scores of 10 are off by
    // 1e-4 at most, weights by that share. Outputs are averages of values below 1.
    private const double Tolerance = 1e-4;

    private static readonly int[] Lengths = [1, 2, 63, 64, 65, 127, 128, 129, 1000];

    private static TestDevice Device => WarpDevice.Named(TestDevice.Kind == "cuda" ? "cuda" : "pocl");

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 1, 64)]
    [TestCase(6, 2, 64)]
    [TestCase(8, 2, 128)]
    [TestCase(6, 1, 256)]
    [TestCase(8, 1, 256)]
    public void MatchesReference(int heads, int kvHeads, int headDim)
    {
        PagedSequences<ushort, Bf16Format> paged = Filled(heads, kvHeads, headDim, Lengths);
        (int, int)[] rows = [.. Lengths.Select((length, s) => (s, length - 1)), (8, 0), (8, 130), (8, 500)];
        float[] q = Queries(rows.Length, heads, headDim);

        float[] y = paged.AttendSplit<DecodeAttentionPlaces>(q, rows);

        AssertClose(y, paged.Reference(q, rows));
    }

    // A real kv head of the 27B: six query heads, as many splits as there can be and one page more than that.
    [TestCase(64 * 128)]
    [TestCase((64 * 128) + 1)]
    [TestCase(12345)]
    public void MatchesReferenceOverManySplits(int length)
    {
        PagedSequences<ushort, Bf16Format> paged = Filled(6, 1, 256, [length]);
        float[] q = Queries(1, 6, 256);

        float[] y = paged.AttendSplit<DecodeAttentionPlaces>(q, (0, length - 1));

        AssertClose(y, paged.Reference(q, (0, length - 1)));
    }

    // Verification: each of eight rows sees the keys up to its own.
    [Test]
    public void RowsOfOneSequenceSeeTheKeysUpToTheirOwn()
    {
        PagedSequences<ushort, Bf16Format> paged = Filled(6, 2, 64, [260]);
        (int, int)[] rows = PagedSequences<ushort, Bf16Format>.Rows(0, 252, 8);
        float[] q = Queries(8, 6, 64);

        AssertClose(paged.AttendSplit<DecodeAttentionPlaces>(q, rows), paged.Reference(q, rows));
    }

    [Test]
    public void GivesABatchTheBitsOfItsMembers()
    {
        PagedSequences<ushort, Bf16Format> paged = Filled(6, 2, 64, Lengths);
        paged.Append([(-1, 0), (-1, 0)]);
        (int, int)[] rows = [(2, 62), (-1, 0), (8, 999), (0, 0), (4, 64), (8, 500), (1, 1), (-1, 0)];
        float[] q = Queries(rows.Length, 6, 64);

        float[] y = paged.AttendSplit<DecodeAttentionPlaces>(q, rows);

        for (int row = 0; row < rows.Length; row++)
        {
            float[] alone = paged.AttendSplit<DecodeAttentionPlaces>(Row(q, row, rows.Length), rows[row]);
            Assert.That(alone, Is.EqualTo(Row(y, row, rows.Length)), $"row {row}, {rows[row]}");
        }
    }

    // All weight on the last key of the last split: every other split's share must vanish against it.
    [Test]
    public void FindsOneLargeScoreAtTheFarEnd()
    {
        const int Length = 1000;
        const int HeadDim = 64;
        float[] k = KernelTests.RandomFloats(1, Length * HeadDim, 0.1f);
        float[] v = KernelTests.RandomFloats(2, Length * HeadDim);
        Array.Fill(k, 8f, (Length - 1) * HeadDim, HeadDim);
        float[] q = [.. Enumerable.Repeat(8f, HeadDim), .. KernelTests.RandomFloats(3, HeadDim)];
        var paged = new PagedSequences<ushort, Bf16Format>(Device, 1, 1, HeadDim, [(k, v)], seed: 5);
        paged.Append(PagedSequences<ushort, Bf16Format>.Rows(0, 0, Length));

        float[] y = paged.AttendSplit<DecodeAttentionPlaces>(q, (0, Length - 1));

        AssertClose(y, paged.Reference(q, (0, Length - 1)));
    }

    // 262,144 tokens whose blocks all lie in four physical pages, read through the table like any other.
    [Test]
    public void ReachesTheLongestContext()
    {
        const int Length = 262_144;
        const int Pages = 4;
        const int HeadDim = 64;
        TestDevice device = Device;
        var random = new Random(7);
        ushort[] keys = [.. Enumerable.Range(0, Pages * 64 * HeadDim).Select(_ => Bf16.FromFloat(random.NextSingle() - 0.5f))];
        ushort[] values = [.. Enumerable.Range(0, Pages * 64 * HeadDim).Select(_ => Bf16.FromFloat(random.NextSingle() - 0.5f))];
        int[] table = [.. Enumerable.Range(0, Length / 64).Select(block => block * 7 % 13 % Pages)];
        float[] q = Queries(1, 1, HeadDim);
        var pages = new KvPages<ushort>(device.Upload(keys), device.Upload(values), Pages, 1, HeadDim);
        (int rows, int columns) = DecodeAttention.ScratchShape(1, 1, HeadDim);
        Matrix<float> y = device.Poisoned<float>(1, HeadDim);

        device.Run(DecodeAttention.Bind(
            device.Loader, device.Upload(q, 1, 2 * HeadDim), pages, device.Upload(0), device.Upload(Length - 1),
            device.Upload(table, 1, table.Length), 1, device.Poisoned<float>(rows, columns), device.Upload(0), y));

        double[] Row(ushort[] pool) =>
            [.. table.SelectMany(page => pool.Skip(page * 64 * HeadDim).Take(64 * HeadDim)).Select(b => (double)Bf16.ToFloat(b))];
        AssertClose(device.Download(y), AttentionReference.Run(
            Array.ConvertAll(q, x => (double)x), Row(keys), Row(values), [Length - 1], 1, 1, HeadDim));
    }

    [Test]
    public void SplitsFollowFromTheLengthAlone()
    {
        for (int length = 1; length <= 262_144; length = (length * 5 / 4) + 1)
        {
            int tokens = SplitLayout.Tokens(length);
            Assert.That(tokens, Is.EqualTo(Math.Max(128, (((length + 63) / 64) + 63) / 64 * 64)), $"length {length}");
            Assert.That(SplitLayout.Count(length), Is.InRange(1, SplitLayout.MaxSplits), $"length {length}");
        }
    }

    // A split that ends one token early, and a token's block off by one, must show.
    [Test]
    public void PlantedFaultsShow()
    {
        PagedSequences<ushort, Bf16Format> paged = Filled(6, 2, 64, [300]);
        float[] q = Queries(1, 6, 64);
        double[] expected = paged.Reference(q, (0, 299));

        Assert.That(Worst(paged.AttendSplit<DecodeAttentionPlaces>(q, (0, 299)), expected), Is.LessThan(Tolerance));
        Assert.That(Shows(paged.AttendSplit<EarlyEnd>(q, (0, 299))), Is.True, "early end");
        Assert.That(Shows(paged.AttendSplit<PreviousBlock>(q, (0, 299))), Is.True, "previous block");

        bool Shows(float[] y) => Array.Exists(y, float.IsNaN) || Worst(y, expected) > 10 * Tolerance;
    }

    [TestCase(9, 1, 64, "decode_attention: 9 query heads on 1 kv heads of 64: up to 8 a kv head, of 64, 128 or 256")]
    [TestCase(2, 1, 48, "decode_attention: 2 query heads on 1 kv heads of 48: up to 8 a kv head, of 64, 128 or 256")]
    [TestCase(2, 1, 64, "decode_attention: columns of q is 8, heads · 2 · head size is 256")]
    public void RejectsOperandsThatDoNotFit(int heads, int kvHeads, int headDim, string message)
    {
        TestDevice device = WarpDevice.Shared;
        ArrayView<ushort> view = device.Poisoned<ushort>(kvHeads * 64 * headDim);
        var pages = new KvPages<ushort>(view, view, 1, kvHeads, headDim);

        ArgumentException error = Assert.Throws<ArgumentException>(() => DecodeAttention.Bind(
            device.Loader, device.Poisoned<float>(1, 8), pages, device.Upload(0), device.Upload(0), device.Upload([0], 1, 1), heads,
            device.Poisoned<float>(1, 1), device.Upload(0), device.Poisoned<float>(1, 1)))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    private static PagedSequences<ushort, Bf16Format> Filled(int heads, int kvHeads, int headDim, int[] lengths)
    {
        var paged = new PagedSequences<ushort, Bf16Format>(
            Device, heads, kvHeads, headDim,
            [
                .. lengths.Select((length, s) => (
                    KernelTests.RandomFloats((length * headDim) + s, length * kvHeads * headDim),
                    KernelTests.RandomFloats(s - (length * headDim), length * kvHeads * headDim))),
            ],
            seed: heads + headDim);
        paged.Append([.. lengths.SelectMany((length, s) => PagedSequences<ushort, Bf16Format>.Rows(s, 0, length))]);
        return paged;
    }

    // Scores have a standard deviation of about 2: neither even nor all on one key.
    private static float[] Queries(int rows, int heads, int headDim) =>
        KernelTests.RandomFloats(rows + heads + headDim, rows * heads * 2 * headDim, 6);

    private static float[] Row(float[] values, int row, int rows) =>
        values[(row * (values.Length / rows))..((row + 1) * (values.Length / rows))];

    private static void AssertClose(float[] actual, double[] expected) =>
        Assert.That(Worst(actual, expected), Is.LessThanOrEqualTo(Tolerance));

    private static double Worst(float[] actual, double[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        Assert.That(actual, Has.None.NaN);
        return actual.Zip(expected, (a, e) => Math.Abs(a - e)).Max();
    }

    private readonly struct EarlyEnd : IDecodeAttentionPlaces
    {
        public static int End(int end) => end - 1;

        public static int Block(int token) => token / KvCache.PageTokens;
    }

    private readonly struct PreviousBlock : IDecodeAttentionPlaces
    {
        public static int End(int end) => end;

        public static int Block(int token) => (token - 1) / KvCache.PageTokens;
    }
}
