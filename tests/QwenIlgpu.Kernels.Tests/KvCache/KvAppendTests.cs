using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(TypeArgs = [typeof(float), typeof(F32PageFormat)])]
[PortableTiers(TypeArgs = [typeof(ushort), typeof(Bf16PageFormat)])]
internal sealed class KvAppendTests<TStorage, TFormat>(PortableTier tier) : PortableTests(tier)
    where TStorage : unmanaged
    where TFormat : struct, IPageFormat<TStorage>
{
    [TestCase(1, 1)]
    [TestCase(3, 13)]
    [TestCase(4, 256)]
    public void WritesEachRowToItsPlaceAndNothingElse(int kvHeads, int headDim)
    {
        int width = kvHeads * headDim;
        (float[] K, float[] V)[] sequences =
        [
            .. new[] { 65, 1, 64 }.Select((length, s) => (Seeded.Floats(width + s, length * width), Seeded.Floats(-width - s, length * width))),
        ];
        var paged = new PagedSequences<TStorage, TFormat>(Device, 1, kvHeads, headDim, sequences, seed: width);

        paged.Append([(0, 0), (0, 63), (0, 64), (1, 0), (2, 31)]);

        Assert.That(paged.Keys, Is.EqualTo(Expected(s => sequences[s].K)));
        Assert.That(paged.Values, Is.EqualTo(Expected(s => sequences[s].V)));

        TStorage[] Expected(Func<int, float[]> rows)
        {
            TStorage[] pages = Device.Download(Device.Poisoned<TStorage>(paged.Keys.Length));
            foreach ((int sequence, int position) in new[] { (0, 0), (0, 63), (0, 64), (1, 0), (2, 31) })
            {
                int page = paged.Table[sequence + 1, position / KvCache.PageTokens];
                for (int i = 0; i < width; i++)
                {
                    int block = (page * kvHeads) + (i / headDim);
                    pages[(((block * KvCache.PageTokens) + (position % KvCache.PageTokens)) * headDim) + (i % headDim)] =
                        TFormat.Store(rows(sequence)[(position * width) + i]);
                }
            }

            return pages;
        }
    }

    // Ties, carries into the exponent, subnormals, infinities and NaNs of both signs, in each of the places that a vector has.
    [Test]
    public void RoundsWhateverAFloatMayHold()
    {
        uint[] bits =
        [
            0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x3fffffff, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fffffff, 0, 1, 0x00008000,
            0x00018000, 0x007fffff, 0x7fc00000, 0x3eaaaaab, 0x42280000,
        ];
        float[] k = [.. Enumerable.Range(0, 67).Select(i => BitConverter.UInt32BitsToSingle(bits[i % bits.Length] | (i % 2 == 0 ? 0 : 0x80000000)))];
        var paged = new PagedSequences<TStorage, TFormat>(Device, 1, 1, 67, [(k, Seeded.Floats(1, 67))], seed: 2);

        paged.Append((0, 0));

        TStorage[] row = paged.Keys[(paged.Table[1, 0] * KvCache.PageTokens * 67)..][..67];
        Assert.That(row, Is.EqualTo(Array.ConvertAll(k, TFormat.Store)));
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void GivesPartsTheBitsOfTheWhole(int rows)
    {
        const int Width = 2 * 40;
        ArrayView<TStorage> keys = default;
        ArrayView<TStorage> values = default;

        TStorage[] parts = RunInParts<TStorage>(
            () =>
            {
                keys = Device.Poisoned<TStorage>(KvCache.PageTokens * Width);
                values = Device.Poisoned<TStorage>(KvCache.PageTokens * Width);
                return
                [
                    KvAppend.Bind<TStorage, TFormat>(
                        Device.Loader, Device.Upload(Seeded.Floats(1, rows * Width), rows, Width), Device.Upload(Seeded.Floats(2, rows * Width), rows, Width),
                        new KvPages<TStorage>(keys, values, 1, 2, 40),
                        new PagedRows(Device.Upload(new int[rows]), Device.Upload([.. Enumerable.Range(9, rows)]), Device.Upload([0], 1, 1))),
                ];
            },
            () => [.. Device.Download(keys), .. Device.Download(values)]);

        Assert.That(parts[(9 * 40)..(10 * 40)], Is.EqualTo(Array.ConvertAll(Seeded.Floats(1, rows * Width)[..40], TFormat.Store)));
    }

    [Test]
    public void SendsPaddingRowsToThePageKeptForThem()
    {
        (float[] K, float[] V)[] sequences = [(Seeded.Floats(1, 8), Seeded.Floats(2, 8))];
        var paged = new PagedSequences<TStorage, TFormat>(Device, 1, 1, 8, sequences, seed: 1);

        paged.Append([(-1, 0), (0, 0), (-1, 0), (-1, 0)]);

        TStorage[] keys = paged.Keys;
        int page = paged.Table[1, 0];
        Assert.That(keys.AsSpan(0, 8).ToArray(), Is.EqualTo(new TStorage[8]));
        Assert.That(keys.AsSpan(page * KvCache.PageTokens * 8, 8).ToArray(), Is.EqualTo(Array.ConvertAll(sequences[0].K, TFormat.Store)));
    }

    [TestCase(16, 16, 2, 512, "kv_append: columns of k is 16, kv heads · head size of the pages is 8")]
    [TestCase(8, 12, 2, 512, "kv_append: columns of v is 12, columns of k is 8")]
    [TestCase(8, 8, 3, 512, "kv_append: length of positions is 3, rows of k is 2")]
    [TestCase(8, 8, 2, 500, "kv_append: length of the key pages is 500, of 1 pages of 2 heads of 4 is 512")]
    public void RejectsOperandsThatDoNotFit(int kColumns, int vColumns, int positions, int pageLength, string message)
    {
        var pages = new KvPages<TStorage>(Device.Poisoned<TStorage>(pageLength), Device.Poisoned<TStorage>(pageLength), 1, 2, 4);

        ArgumentException error = Assert.Throws<ArgumentException>(() => KvAppend.Bind<TStorage, TFormat>(
            Device.Loader, Device.Poisoned<float>(2, kColumns), Device.Poisoned<float>(2, vColumns), pages,
            new PagedRows(Device.Poisoned<int>(2), Device.Poisoned<int>(positions), Device.Poisoned<int>(1, 1))))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }
}
