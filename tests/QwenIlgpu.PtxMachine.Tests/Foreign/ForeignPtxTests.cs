namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Kernels in CUDA, compiled by clang, against C#: groups and warps that work together.</summary>
[TestFixture(0)]
[TestFixture(1)]
[TestFixture(2)]
internal sealed class ForeignPtxTests(int seed)
{
    [TestCase(1, 1)]
    [TestCase(3, 1003)]
    [TestCase(2, 4096)]
    public void AddsVectors(int groups, int count)
    {
        using var kernels = new ForeignKernels("vector_add.ptx", seed);
        float[] a = Floats(count, 1);
        float[] b = Floats(count, 2);
        nint sum = kernels.Allocate<float>(count);

        kernels.Launch("add", ForeignKernels.Line(groups, 128), sum, kernels.Upload(a), kernels.Upload(b), count);

        Assert.That(kernels.Download<float>(sum, count), Is.EqualTo(a.Zip(b, (x, y) => x + y)));
    }

    [Test]
    public void ScalesBytes()
    {
        const int Count = 300;
        const ushort Scale = 40001;
        using var kernels = new ForeignKernels("vector_add.ptx", seed);
        var random = new Random(seed);
        byte[] a = new byte[Count];
        sbyte[] b = new sbyte[Count];
        random.NextBytes(a);
        for (int i = 0; i < Count; i++)
            b[i] = (sbyte)random.Next(-128, 128);
        nint d = kernels.Allocate<byte>(Count);

        kernels.Launch(
            "scale_bytes", ForeignKernels.Line(3, 100), d, kernels.Upload<byte>(a), kernels.Upload<sbyte>(b), Scale, Count);

        Assert.That(kernels.Download<byte>(d, Count), Is.EqualTo(a.Zip(b, (x, y) => (byte)(((x * Scale) + y) >> 4))));
    }

    [TestCase(5, 1000)]
    [TestCase(2, 3)]
    public void ReducesRows(int rows, int columns)
    {
        using var kernels = new ForeignKernels("reduce.ptx", seed);
        int[] numbers = Numbers(rows * columns, -100000, 100000);
        float[] values = Floats(rows * columns, 4);
        nint sums = kernels.Allocate<int>(rows);
        nint maxima = kernels.Allocate<float>(rows);

        kernels.Launch(
            "reduce_rows", ForeignKernels.Line(rows, 256), sums, maxima, kernels.Upload(numbers), kernels.Upload(values), columns);

        Assert.Multiple(() =>
        {
            Assert.That(kernels.Download<int>(sums, rows), Is.EqualTo(numbers.Chunk(columns).Select(row => row.Sum())));
            Assert.That(kernels.Download<float>(maxima, rows), Is.EqualTo(values.Chunk(columns).Select(row => row.Max())));
        });
    }

    [Test]
    public void ScansAndCompactsAWarp()
    {
        using var kernels = new ForeignKernels("reduce.ptx", seed);
        int[] numbers = Numbers(32, -5, 10);
        int[] positive = [.. numbers.Where(n => n > 0)];
        nint prefix = kernels.Allocate<int>(32);
        nint kept = kernels.Allocate<int>(positive.Length);
        nint keptCount = kernels.Allocate<int>(1);

        kernels.Launch("scan_and_compact", ForeignKernels.Line(1, 32), prefix, kept, keptCount, kernels.Upload(numbers));

        Assert.Multiple(() =>
        {
            Assert.That(kernels.Download<int>(prefix, 32), Is.EqualTo(numbers.Select((_, i) => numbers[..(i + 1)].Sum())));
            Assert.That(kernels.Download<int>(kept, positive.Length), Is.EqualTo(positive));
            Assert.That(kernels.Download<int>(keptCount, 1)[0], Is.EqualTo(positive.Length));
        });
    }

    // Sixteenths below 4 in magnitude: products and sums have few enough bits that no way of adding rounds any.
    [Test]
    public void MultipliesMatrices([Values] TensorCoreSums sums)
    {
        const int Rows = 64;
        const int Columns = 48;
        const int Depth = 80;
        using var kernels = new ForeignKernels("matmul.ptx", seed, sums);
        int[] a = Numbers(Rows * Depth, -64, 65);
        int[] b = Numbers(Depth * Columns, -64, 65);
        float[] expected = new float[Rows * Columns];
        for (int i = 0; i < expected.Length; i++)
            expected[i] = Enumerable.Range(0, Depth).Sum(k => a[(i / Columns * Depth) + k] * b[(k * Columns) + (i % Columns)]) / 256f;
        nint d = kernels.Allocate<float>(expected.Length);

        kernels.Launch(
            "matmul", new GridShape(Columns / 16, Rows / 32, 1, 64, 1, 1, 0),
            d, kernels.Upload(Sixteenths(a)), kernels.Upload(Sixteenths(b)), Depth, Columns);

        Assert.That(kernels.Download<float>(d, expected.Length), Is.EqualTo(expected));
    }

    [TestCase(3, 1000)]
    [TestCase(1, 1003)]
    [TestCase(1, 5)]
    [TestCase(2, 512)]
    public void WeighsWhatIsCopiedMeanwhile(int groups, int count)
    {
        const int Threads = 64;
        const int Tile = 256;
        using var kernels = new ForeignKernels("pipeline.ptx", seed);
        float[] values = Floats(groups * count, 5);
        float[] expected = new float[groups * Threads];
        for (int i = 0; i < expected.Length; i++)
        {
            for (int at = 0; at < (count + Tile - 1) / Tile * Tile; at += Tile)
            {
                for (int k = 0; k < 4; k++)
                {
                    int place = at + Tile - 1 - (i % Threads * 4) - k;
                    float value = place < count ? values[(i / Threads * count) + place] : 0;
                    expected[i] = MathF.FusedMultiplyAdd(value, (at / Tile) + 1, expected[i]);
                }
            }
        }

        nint sums = kernels.Allocate<float>(expected.Length);

        // What a partial copy leaves out is no zero in memory.
        nint padded = kernels.Upload<float>([.. values, float.NaN, float.NaN, float.NaN]);

        kernels.Launch("weigh", ForeignKernels.Line(groups, Threads), sums, padded, count);

        Assert.That(kernels.Download<float>(sums, expected.Length), Is.EqualTo(expected));
    }

    [Test]
    public void CountsIntoBins()
    {
        const int Count = 1500;
        using var kernels = new ForeignKernels("atomics.ptx", seed);
        byte[] values = new byte[Count];
        new Random(seed).NextBytes(values);
        nint bins = kernels.Upload(new int[64]);
        nint greatest = kernels.Upload(-1);
        nint total = kernels.Upload(0f);

        kernels.Launch("histogram", ForeignKernels.Line(4, 128), bins, greatest, total, kernels.Upload<byte>(values), Count);

        Assert.Multiple(() =>
        {
            Assert.That(
                kernels.Download<int>(bins, 64), Is.EqualTo(Enumerable.Range(0, 64).Select(bin => values.Count(v => v % 64 == bin))));
            Assert.That(kernels.Download<int>(greatest, 1)[0], Is.EqualTo(values.Max()));
            Assert.That(kernels.Download<float>(total, 1)[0], Is.EqualTo(Count));
        });
    }

    [TestCase("sum_fenced", 32, 1)]
    [TestCase("sum_ordered", 64, 64)]
    public void TheLastGroupAddsWhatAllLeft(string kernel, int threads, int partsOfGroup)
    {
        const int Groups = 37;
        using var kernels = new ForeignKernels("atomics.ptx", seed);
        int[] values = Numbers(Groups * threads, -1000, 1000);
        nint sum = kernels.Upload(0);
        nint parts = kernels.Allocate<int>(Groups * partsOfGroup);

        kernels.Launch(kernel, ForeignKernels.Line(Groups, threads), sum, parts, kernels.Upload(0), kernels.Upload(values));

        Assert.That(kernels.Download<int>(sum, 1)[0], Is.EqualTo(values.Sum()));
    }

    [Test]
    public void LanesTakeTurnsAtCompareAndSwap()
    {
        const int Count = 500;
        using var kernels = new ForeignKernels("atomics.ptx", seed);
        float[] values = Floats(Count, 6);
        nint bits = kernels.Upload(0);

        kernels.Launch("greatest", ForeignKernels.Line(4, 128), bits, kernels.Upload(values), Count);

        Assert.That(kernels.Download<float>(bits, 1)[0], Is.EqualTo(values.Max()));
    }

    [Test]
    public void TransposesThroughDynamicSharedMemory()
    {
        const int Rows = 37;
        const int Columns = 45;
        using var kernels = new ForeignKernels("transpose.ptx", seed);
        float[] a = Floats(Rows * Columns, 7);
        nint d = kernels.Allocate<float>(a.Length);

        kernels.Launch("transpose", new GridShape(3, 3, 1, 16, 8, 1, 16 * 17 * sizeof(float)), d, kernels.Upload(a), Rows, Columns);

        Assert.That(kernels.Download<float>(d, a.Length), Is.EqualTo(a.Select((_, i) => a[(i % Rows * Columns) + (i / Rows)])));
    }

    private float[] Floats(int count, int salt)
    {
        var random = new Random((100 * seed) + salt);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.25f) * 100)];
    }

    private int[] Numbers(int count, int from, int to)
    {
        var random = new Random((100 * seed) + count);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(from, to))];
    }

    private static Half[] Sixteenths(int[] numbers) => [.. numbers.Select(n => (Half)(n / 16f))];
}
