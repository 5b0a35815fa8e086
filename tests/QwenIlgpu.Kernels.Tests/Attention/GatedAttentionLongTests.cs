using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What must not change with the position: the result's accuracy and what a launch allocates.</summary>
internal sealed class GatedAttentionLongTests(PortableTier tier) : PortableTests(tier)
{
    private const int HeadDim = 32;

    // Up to 4,096 pages are added one after the other; the mean of values in [−1, 1) keeps 1e-6 and better.
    private const double Tolerance = 1e-5;

    // What ILGPU's CPU accelerator creates itself for a launch.
    private const long MostBytes = 1024;

    [TestCase(8192)]
    [TestCase(262_144, Category = MachineFixtures.Slow)]
    public void MatchesReferenceAtTheLastPosition(int length)
    {
        var paged = new PagedSequences<Bf16PageFormat, Bf16PageFormat>(
            Device, 1, 1, HeadDim, [(Seeded.Floats(1, length * HeadDim), Seeded.Floats(2, length * HeadDim))], seed: 3);
        paged.Append(PagedSequences<Bf16PageFormat, Bf16PageFormat>.Rows(0, 0, length));
        float[] q = Seeded.Floats(4, 2 * HeadDim, 6);

        AssertClose(paged.Attend(q, (0, length - 1)), paged.Reference(q, (0, length - 1)), Tolerance);
    }

    [Test]
    [Category(MachineFixtures.None)]
    public void AllocatesAsMuchAtEveryPosition()
    {
        long first = BytesPerLaunch(BindAt(0));
        long last = BytesPerLaunch(BindAt(8191));

        Assert.That(last, Is.EqualTo(first));
        Assert.That(last, Is.LessThanOrEqualTo(MostBytes));
    }

    /// <summary>Four heads at one position, every block of the sequence on the same page.</summary>
    private static Launch BindAt(int position)
    {
        const int Heads = 4;
        ArrayView<UInt4> page = Device.Upload(Seeded.Floats(5, KvCache.PageTokens * HeadDim)).Cast<UInt4>();
        int blocks = (position / KvCache.PageTokens) + 1;
        (int rows, int columns) = GatedAttention.ScratchShape<F32PageFormat>(1, Heads, HeadDim);
        return GatedAttention.Bind<F32PageFormat, F32PageFormat>(
            Device.Loader, Device.Upload(Seeded.Floats(6, Heads * 2 * HeadDim), 1, Heads * 2 * HeadDim), new KvPages<F32PageFormat, F32PageFormat>(page, page, 1, 1, HeadDim),
            new PagedRows(Device.Upload(0), Device.Upload(position), Device.Upload(new int[blocks], 1, blocks)), Heads,
            Device.Poisoned<float>(rows, columns), Device.Poisoned<float>(1, Heads * HeadDim));
    }

    private static long BytesPerLaunch(Launch launch)
    {
        const int Launches = 20;
        long least = long.MaxValue;

        // The first attempts compile; where others have the processor, it takes a while until the compiler's last word is in use.
        for (int attempt = 0; attempt < 5 || (attempt < 60 && least > Launches * MostBytes); attempt++)
        {
            Thread.Sleep(attempt < 5 ? 0 : 50);
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Launches; i++)
                launch.Run(Device.Stream);
            Device.Stream.Synchronize();
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        return least / Launches;
    }
}
