using System.Globalization;
using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(TypeArgs = [typeof(F32PageFormat), typeof(F32PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Bf16PageFormat), typeof(Bf16PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int8PageFormat), typeof(Int8PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int4PageFormat), typeof(Int4PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Int8PageFormat), typeof(Int4PageFormat)])]
internal sealed class KvAppendTests<TKeys, TValues>(PortableTier tier) : PortableTests(tier)
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    // Turning adds up to 256 elements below 1 in float, eight times over: 2^-24 of what has come together each time.
    private const double TurningError = 1e-6;

    [TestCase(1, 32)]
    [TestCase(3, 96)]
    [TestCase(2, 64)]
    [TestCase(4, 256)]
    public void WritesEachRowToItsPlaceAndNothingElse(int kvHeads, int headDim)
    {
        int width = kvHeads * headDim;
        (float[] K, float[] V)[] sequences =
        [
            .. new[] { 65, 1, 64 }.Select((length, s) => (Seeded.Floats(width + s, length * width), Seeded.Floats(-width - s, length * width))),
        ];
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, kvHeads, headDim, sequences, seed: width);
        (int Sequence, int Position)[] rows = [(0, 0), (0, 63), (0, 64), (1, 0), (2, 31)];

        paged.Append(rows);

        (UInt4[] keys, UInt4[] values) = (paged.Keys, paged.Values);
        (int Page, int Token)[] places = Array.ConvertAll(
            rows, r => (paged.Table[r.Sequence + 1, r.Position / KvCache.PageTokens], r.Position % KvCache.PageTokens));
        StoredRow.AssertOnlyThese<TKeys>(keys, kvHeads, headDim, places);
        StoredRow.AssertOnlyThese<TValues>(values, kvHeads, headDim, places);
        for (int i = 0; i < rows.Length; i++)
        {
            for (int kvHead = 0; kvHead < kvHeads; kvHead++)
            {
                int start = (rows[i].Position * width) + (kvHead * headDim);
                AssertStored<TKeys>(sequences[rows[i].Sequence].K[start..(start + headDim)], keys, kvHeads, places[i], kvHead);
                AssertStored<TValues>(sequences[rows[i].Sequence].V[start..(start + headDim)], values, kvHeads, places[i], kvHead);
            }
        }
    }

    // What is read back is what lies there: each accelerator's expansion against the bytes.
    [TestCase(2, 96)]
    [TestCase(4, 256)]
    public void IsReadBackByGather(int kvHeads, int headDim)
    {
        const int Length = 67;
        int width = kvHeads * headDim;
        var paged = new PagedSequences<TKeys, TValues>(
            Device, 1, kvHeads, headDim, [(Seeded.Floats(1, Length * width), Seeded.Floats(2, Length * width))], seed: width);
        (int, int)[] rows = [(0, 66), (0, 0), (0, 41)];
        paged.Append(rows);
        Matrix<float> k = Device.Poisoned<float>(3, width);
        Matrix<float> v = Device.Poisoned<float>(3, width);

        Device.Run(KvGather.Bind(Device.Loader, paged.Pages, paged.Rows(rows), k, v));

        (double[] keys, double[] values) = paged.StoredOf(0);
        int[] positions = [66, 0, 41];
        AssertClose(Device.Download(k), [.. positions.SelectMany(p => keys[(p * width)..((p + 1) * width)])], TurningError);
        AssertClose(Device.Download(v), [.. positions.SelectMany(p => values[(p * width)..((p + 1) * width)])], TurningError);
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void GivesPartsTheBitsOfTheWhole(int rows)
    {
        const int Width = 2 * 64;
        KvPages<TKeys, TValues> pages = default;

        UInt4[] parts = RunInParts<UInt4>(
            () =>
            {
                pages = PagedSequences<TKeys, TValues>.Poisoned(Device, 1, 2, 64);
                return
                [
                    KvAppend.Bind(
                        Device.Loader, Device.Upload(Seeded.Floats(1, rows * Width), rows, Width), Device.Upload(Seeded.Floats(2, rows * Width), rows, Width),
                        pages,
                        new PagedRows(Device.Upload(new int[rows]), Device.Upload([.. Enumerable.Range(9, rows)]), Device.Upload([0], 1, 1))),
                ];
            },
            () => [.. Device.Download(pages.Keys), .. Device.Download(pages.Values)]);

        AssertStored<TKeys>(Seeded.Floats(1, rows * Width)[..64], parts, 2, (0, 9), 0);
    }

    [Test]
    public void SendsPaddingRowsToThePageKeptForThem()
    {
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, 1, 32, [(Seeded.Floats(1, 32), Seeded.Floats(2, 32))], seed: 1);

        paged.Append([(-1, 0), (0, 0), (-1, 0), (-1, 0)]);

        (int, int)[] places = [(0, 0), (paged.Table[1, 0], 0)];
        StoredRow.AssertOnlyThese<TKeys>(paged.Keys, 1, 32, places);
        StoredRow.AssertOnlyThese<TValues>(paged.Values, 1, 32, places);
        AssertStored<TKeys>(new float[32], paged.Keys, 1, (0, 0), 0);
        AssertStored<TKeys>(Seeded.Floats(1, 32), paged.Keys, 1, (paged.Table[1, 0], 0), 0);
    }

    // Zeros, one outlier, all the same, all above or below zero, as small and as large as f16 scales go.
    [TestCase(0f, 0f)]
    [TestCase(1f, 0f)]
    [TestCase(1e-6f, 0f)]
    [TestCase(1e-4f, 0f)]
    [TestCase(2000f, 0f)]
    [TestCase(0.01f, 30f)]
    [TestCase(1f, -7f)]
    public void HoldsRowsOfEverySize(float spread, float middle)
    {
        float[] k = [.. Seeded.Floats(1, 64, spread).Select(x => x + middle)];
        float[] v = [.. Seeded.Floats(2, 64, spread / 100).Select((x, i) => i == 13 ? spread + middle : x)];
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, 1, 64, [(k, v)], seed: 3);

        paged.Append((0, 0));

        AssertStored<TKeys>(k, paged.Keys, 1, (paged.Table[1, 0], 0), 0);
        AssertStored<TValues>(v, paged.Values, 1, (paged.Table[1, 0], 0), 0);
    }

    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity)]
    public void KeepsANumberThatIsNoneInSight(float none)
    {
        float[] k = Seeded.Floats(1, 96);
        k[77] = none;
        var paged = new PagedSequences<TKeys, TValues>(Device, 1, 1, 96, [(k, k)], seed: 3);

        paged.Append((0, 0));

        (double[] keys, double[] values) = paged.StoredOf(0);
        Assert.That(new[] { keys[77], values[77] }, Is.All.Matches<double>(x => !double.IsFinite(x)));
    }

    [TestCase(32, 64, 2, 0, "kv_append: columns of k is 32, kv heads · head size of the pages is 64")]
    [TestCase(64, 96, 2, 0, "kv_append: columns of v is 96, columns of k is 64")]
    [TestCase(64, 64, 3, 0, "kv_append: length of positions is 3, rows of k is 2")]
    [TestCase(64, 64, 2, 1, "kv_append: words of the key pages is {0}, of 1 pages of 2 heads of 32 is {1}")]
    public void RejectsOperandsThatDoNotFit(int kColumns, int vColumns, int positions, int missing, string message)
    {
        int words = 2 * PageBlock.Words<TKeys>(32);
        var pages = new KvPages<TKeys, TValues>(
            Device.Poisoned<UInt4>(words - missing), Device.Poisoned<UInt4>(2 * PageBlock.Words<TValues>(32)), 1, 2, 32);

        ArgumentException error = Assert.Throws<ArgumentException>(() => KvAppend.Bind(
            Device.Loader, Device.Poisoned<float>(2, kColumns), Device.Poisoned<float>(2, vColumns), pages,
            new PagedRows(Device.Poisoned<int>(2), Device.Poisoned<int>(positions), Device.Poisoned<int>(1, 1))))!;

        Assert.That(error.Message, Is.EqualTo(string.Format(CultureInfo.InvariantCulture, message, words - missing, words)));
    }

    private static void AssertStored<TFormat>(float[] row, UInt4[] pages, int kvHeads, (int Page, int Token) place, int kvHead)
        where TFormat : struct, IPageFormat
    {
        double[] wanted = TFormat.IsQuantized ? StoredRow.Turned(Seeded.ToDouble(row)) : Seeded.ToDouble(row);
        double[] stored = StoredRow.ReadTurned<TFormat>(
            StoredRow.Block<TFormat>(pages, kvHeads, row.Length, place.Page, kvHead), row.Length, place.Token);
        double error = TFormat.IsQuantized ? TurningError * wanted.Max(Math.Abs) : 0;
        for (int d = 0; d < row.Length; d++)
            Assert.That(stored[d], Is.EqualTo(wanted[d]).Within(StoredRow.Bound<TFormat>(wanted, d, error)), $"head {kvHead}, element {d}");
    }
}

/// <summary>Rows of floats, which are stored to the bit whatever they hold.</summary>
[PortableTiers(TypeArgs = [typeof(F32PageFormat)])]
[PortableTiers(TypeArgs = [typeof(Bf16PageFormat)])]
internal sealed class KvAppendFloatTests<TFormat>(PortableTier tier) : PortableTests(tier)
    where TFormat : struct, IPageFormat
{
    // Ties, carries into the exponent, subnormals, infinities and NaNs of both signs, in each of the places that a vector has.
    [Test]
    public void RoundsWhateverAFloatMayHold()
    {
        uint[] bits =
        [
            0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x3fffffff, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fffffff, 0, 1, 0x00008000,
            0x00018000, 0x007fffff, 0x7fc00000, 0x3eaaaaab, 0x42280000,
        ];
        float[] k = [.. Enumerable.Range(0, 72).Select(i => BitConverter.UInt32BitsToSingle(bits[i % bits.Length] | (i % 2 == 0 ? 0 : 0x80000000)))];
        var paged = new PagedSequences<TFormat, TFormat>(Device, 1, 1, 72, [(k, Seeded.Floats(1, 72))], seed: 2);

        paged.Append((0, 0));

        ReadOnlySpan<byte> row = MemoryMarshal.AsBytes<UInt4>(paged.Keys)[(paged.Table[1, 0] * 16 * PageBlock.Words<TFormat>(72))..][..TFormat.RowBytes(72)];
        byte[] expected = typeof(TFormat) == typeof(F32PageFormat)
            ? MemoryMarshal.AsBytes<float>(k).ToArray()
            : MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(k, Bf16.FromFloat)).ToArray();
        Assert.That(row.ToArray(), Is.EqualTo(expected));
    }
}
