using System.Globalization;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(TypeArgs = [typeof(F32PageFormat), typeof(F32PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Bf16PageFormat), typeof(Bf16PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int8PageFormat), typeof(Int8PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int4PageFormat), typeof(Int4PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int8PageFormat), typeof(Int4PageFormat)])]
internal sealed class GatedAttentionTests<TKeys, TValues>(PortableTier tier) : PortableTests(tier)
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    // Outputs are averages of values below 1. A score of up to Hd products in float is off by some 2^-22 of its size, about 10, and a
    // weight by that share of itself.
    // CPU threads multiply codes with queries and weights of 15 bits: 2^-16 of the largest is lost of each, and the sums of many are smaller.
    private static readonly double Tolerance = KvPages<TKeys, TValues>.AreQuantized ? 5e-4 : 1e-5;

    private static readonly int[] Lengths = [1, 63, 64, 65, 257];

    [TestCase(2, 2, 48)]
    [TestCase(3, 1, 64)]
    [TestCase(8, 2, 48)]
    [TestCase(5, 1, 32)]
    [TestCase(6, 1, 256)]
    [TestCase(24, 4, 256)]
    public void MatchesReference(int heads, int kvHeads, int headDim)
    {
        headDim = Served(headDim);
        PagedSequences<TKeys, TValues> paged = Filled(heads, kvHeads, headDim, Lengths);
        (int, int)[] rows = [.. Lengths.Select((length, s) => (s, length - 1)), (4, 0), (4, 130), (3, 2)];
        float[] q = Queries(rows.Length, heads, headDim);

        AssertClose(paged.Attend(q, rows), paged.Reference(q, rows), Tolerance);
    }

    [TestCase(6, 48)]
    [TestCase(6, 64, Category = MachineFixtures.Slow)]
    [TestCase(10, 64, Category = MachineFixtures.Slow)]
    public void GivesPrefillTheBitsOfDecode(int heads, int headDim)
    {
        const int KvHeads = 2;
        const int Length = 131;
        headDim = Served(headDim);
        (float[] K, float[] V)[] sequences = Sequences(KvHeads, headDim, [Length]);
        (int, int)[] rows = PagedSequences<TKeys, TValues>.Rows(0, 0, Length);
        float[] q = Queries(Length, heads, headDim);
        var prefilled = new PagedSequences<TKeys, TValues>(Device, heads, KvHeads, headDim, sequences, seed: 1);
        prefilled.Append(rows);
        float[] expected = prefilled.Attend(q, rows);
        Device.Release();

        var decoded = new PagedSequences<TKeys, TValues>(Device, heads, KvHeads, headDim, sequences, seed: 2);
        for (int position = 0; position < Length; position++)
        {
            decoded.Append((0, position));
            float[] y = decoded.Attend(Row(q, position, Length), (0, position));
            Assert.That(y, Is.EqualTo(Row(expected, position, Length)), $"position {position}");
        }
    }

    [Test]
    public void GivesABatchTheBitsOfItsMembers()
    {
        const int Heads = 8;
        const int KvHeads = 2;
        const int HeadDim = 64;
        PagedSequences<TKeys, TValues> paged = Filled(Heads, KvHeads, HeadDim, Lengths);
        paged.Append([(-1, 0), (-1, 0)]);
        (int, int)[] rows = [(2, 63), (-1, 0), (4, 256), (0, 0), (3, 64), (4, 255), (1, 62), (-1, 0)];
        float[] q = Queries(rows.Length, Heads, HeadDim);

        float[] y = paged.Attend(q, rows);

        for (int row = 0; row < rows.Length; row++)
        {
            Assert.That(
                paged.Attend(Row(q, row, rows.Length), rows[row]), Is.EqualTo(Row(y, row, rows.Length)), $"row {row}, {rows[row]}");
        }
    }

    // Blocks of rows, and one row whose heads several threads take.
    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    [TestCase(40, Category = MachineFixtures.Slow)]
    public void GivesPartsOfALaunchTheBitsOfTheWhole(int rowCount)
    {
        PagedSequences<TKeys, TValues> paged = Filled(8, 2, 64, Lengths);
        (int, int)[] rows = PagedSequences<TKeys, TValues>.Rows(4, 257 - rowCount, rowCount);
        float[] q = Queries(rowCount, 8, 64);

        float[] y = paged.AttendInParts(RunInParts, q, rows);

        AssertClose(y, paged.Reference(q, rows), Tolerance);
        for (int row = 0; row < rowCount; row++)
            Assert.That(paged.Attend(Row(q, row, rowCount), rows[row]), Is.EqualTo(Row(y, row, rowCount)), $"row {row}");
    }

    // The value behind a row's own key is another row's: whatever it is, it does not count.
    [Test]
    public void LeavesOutWhatComesAfterARow()
    {
        const int Length = 70;
        float[] v = Seeded.Floats(2, Length * 64);
        var finite = new PagedSequences<TKeys, TValues>(Device, 4, 1, 64, [(Seeded.Floats(1, Length * 64), v)], seed: 3);
        float[] broken = [.. v];
        Array.Fill(broken, float.NaN, (Length - 1) * 64, 64);
        var breaking = new PagedSequences<TKeys, TValues>(Device, 4, 1, 64, [(Seeded.Floats(1, Length * 64), broken)], seed: 3);
        (int, int)[] rows = PagedSequences<TKeys, TValues>.Rows(0, 0, Length);
        finite.Append(rows);
        breaking.Append(rows);
        float[] q = Queries(Length, 4, 64);

        float[] y = breaking.Attend(q, rows);

        Assert.That(y[..^(4 * 64)], Is.EqualTo(finite.Attend(q, rows)[..^(4 * 64)]));
        Assert.That(y[^(4 * 64)..], Is.All.NaN);
    }

    // What a share with a wrong index would read.
    [Test]
    public void NoticesAWrongHeadKeyOrElement()
    {
        PagedSequences<TKeys, TValues> paged = Filled(8, 2, 64, Lengths);
        (int, int)[] rows = [(4, 256)];
        float[] q = Queries(1, 8, 64);
        double[] expected = paged.Reference(q, rows);
        float[] halves = [.. q.Chunk(32).SelectMany((chunk, i) => i % 4 < 2 ? [.. chunk.Where((_, e) => e % 2 == 0), .. chunk.Where((_, e) => e % 2 == 1)] : chunk)];

        foreach ((string fault, double[] bent) in new[]
        {
            ("the next head's query", Seeded.ToDouble(paged.Attend([.. q[128..], .. q[..128]], rows))),
            ("one key less", Seeded.ToDouble(paged.Attend(q, (4, 255)))),
            ("another page", Seeded.ToDouble(paged.Attend(q, (3, 64)))),
            ("even and odd elements exchanged for halves", Seeded.ToDouble(paged.Attend(halves, rows))),
        })
        {
            Assert.That(bent.Zip(expected, (b, e) => Math.Abs(b - e)).Max(), Is.GreaterThan(20 * Tolerance), fault);
        }
    }

    // Small whole numbers, so that scores of some thousands are exact and only the softmax rounds.
    [Test]
    public void SurvivesScoresFarBeyondTheRangeOfTheExponential()
    {
        const int HeadDim = 64;
        const int Length = 200;
        float[] k = Whole(1, Length * HeadDim, 8);
        float[] v = Seeded.Floats(2, Length * HeadDim);
        float[] q = [.. Whole(3, HeadDim, 64), .. Seeded.Floats(4, HeadDim), .. Whole(5, HeadDim, 64), .. Seeded.Floats(6, HeadDim)];
        var paged = new PagedSequences<TKeys, TValues>(Device, 2, 1, HeadDim, [(k, v)], seed: 3);
        paged.Append(PagedSequences<TKeys, TValues>.Rows(0, 0, Length));

        // Codes are not whole numbers times one scale: scores of thousands are off by 2^-22 of that, and weights with them.
        AssertClose(
            paged.Attend(q, (0, Length - 1)), paged.Reference(q, (0, Length - 1)), KvPages<TKeys, TValues>.AreQuantized ? 2e-3 : Tolerance);

        static float[] Whole(int seed, int length, int most) => Array.ConvertAll(Seeded.Floats(seed, length, most), MathF.Round);
    }

    [Test]
    public void GatesWithTheSigmoid()
    {
        int headDim = Served(8);
        float[] v = [.. Enumerable.Repeat(1f, headDim)];
        float[] gate = [.. Enumerable.Range(0, headDim).Select(i => new[] { -200f, -88, -1, 0, 1, 30, 88, 200 }[i % 8])];
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, 1, headDim, [(Seeded.Floats(1, headDim), v)], seed: 4);
        paged.Append((0, 0));

        float[] y = paged.Attend([.. Seeded.Floats(2, headDim), .. gate], (0, 0));

        // All ones turned are one number and zeros, which 4 bits with f16 scales hold to 2^-10.
        AssertClose(y, Array.ConvertAll(gate, g => 1 / (1 + Math.Exp(-g))), KvPages<TKeys, TValues>.AreQuantized ? 1e-3 : Tolerance);
    }

    [TestCase(3, 2, 32, 48, 192, 24, "gated_attention: 3 query heads are no multiple of 2 kv heads")]
    [TestCase(4, 2, 12, 96, 256, 48, "gated_attention: head size is 12, it must be a multiple of {0}")]
    [TestCase(4, 2, 32, 32, 256, 32, "gated_attention: columns of q is 32, heads · 2 · head size is 256")]
    [TestCase(4, 2, 32, 256, 64, 32, "gated_attention: columns of scratch is 64, heads · tokens of a page, and a query where it is turned is {1}")]
    [TestCase(4, 2, 32, 256, 0, 64, "gated_attention: columns of y is 64, heads · head size is 128")]
    public void RejectsOperandsThatDoNotFit(
        int heads, int kvHeads, int headDim, int qColumns, int scratchColumns, int yColumns, string message)
    {
        KvPages<TKeys, TValues> pages = PagedSequences<TKeys, TValues>.Poisoned(Device, 1, kvHeads, headDim);
        int rightColumns = GatedAttention.ScratchShape<TKeys>(2, heads, headDim).Columns;

        ArgumentException error = Assert.Throws<ArgumentException>(() => GatedAttention.Bind<TKeys, TValues>(
            Device.Loader, Device.Poisoned<float>(2, qColumns), pages,
            new PagedRows(Device.Poisoned<int>(2), Device.Poisoned<int>(2), Device.Poisoned<int>(1, 1)), heads,
            Device.Poisoned<float>(2, scratchColumns == 0 ? rightColumns : scratchColumns), Device.Poisoned<float>(2, yColumns)))!;

        Assert.That(error.Message, Is.EqualTo(string.Format(CultureInfo.InvariantCulture, message, Math.Max(TKeys.DimStep, TValues.DimStep), rightColumns)));
    }

    // The next head size that the formats take.
    private static int Served(int headDim)
    {
        int step = Math.Max(TKeys.DimStep, TValues.DimStep);
        return (headDim + step - 1) / step * step;
    }

    private static PagedSequences<TKeys, TValues> Filled(int heads, int kvHeads, int headDim, int[] lengths)
    {
        var paged = new PagedSequences<TKeys, TValues>(
            Device, heads, kvHeads, headDim, Sequences(kvHeads, headDim, lengths), seed: heads + headDim);
        paged.Append([.. lengths.SelectMany((length, s) => PagedSequences<TKeys, TValues>.Rows(s, 0, length))]);
        return paged;
    }

    private static (float[] K, float[] V)[] Sequences(int kvHeads, int headDim, int[] lengths) =>
    [
        .. lengths.Select((length, s) => (
            Seeded.Floats((length * headDim) + s, length * kvHeads * headDim), Seeded.Floats(s - (length * headDim), length * kvHeads * headDim))),
    ];

    // Scores have a standard deviation of about 2: neither even nor all on one key.
    private static float[] Queries(int rows, int heads, int headDim) => Seeded.Floats(rows + heads + headDim, rows * heads * 2 * headDim, 6);

    private static float[] Row(float[] values, int row, int rows) =>
        values[(row * (values.Length / rows))..((row + 1) * (values.Length / rows))];
}
