using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Norm, rotation and append in one launch, held against the definitions and the two portable kernels.</summary>
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(float), typeof(F32PageFormat)])]
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(ushort), typeof(Bf16PageFormat)])]
[NonParallelizable]
internal sealed class QkNormRotaryAppendTests<TStorage, TFormat>
    where TStorage : unmanaged
    where TFormat : struct, IPageFormat<TStorage>
{
    private const float Eps = 1e-6f;
    private const double Theta = 1e7;
    private const int Blocks = 4096;
    private const int Pages = 7;

    // Values reach 7: x / rms below 2, weight + 1 below 2, a pair's sum √2 of that. Their float rounding is some 2^-22 in all.
    private const double Tolerance = 4e-6;

    private static IEnumerable<TestCaseData> Shapes()
    {
        string device = WarpDevice.Usual;
        if (device != "cuda")
            yield return new("cpu", 2, 2, 1, 32, 8);
        yield return new(device, 1, 1, 1, 32, 32);
        yield return new(device, 7, 6, 2, 64, 16);
        yield return new(device, 5, 3, 3, 96, 24);
        yield return new(device, 3, 24, 4, 256, 64);
    }

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceAndWritesNothingElse(string deviceName, int rows, int heads, int kvHeads, int headDim, int rotaryDim)
    {
        var step = new Step(WarpDevice.Named(deviceName), rows, heads, kvHeads, headDim, rotaryDim);

        (float[] q, TStorage[] keys, TStorage[] values) = step.Run();

        Check(step, q, keys, values);
    }

    internal static void Check(Step step, float[] q, TStorage[] keys, TStorage[] values)
    {
        (int headDim, int rotaryDim) = (step.QNorm.Length, step.RotaryDim);
        double[] expectedQ = QkNormRotaryReference.Run(
            Seeded.ToDouble(step.Q), 2 * headDim, headDim, Seeded.ToDouble(step.QNorm), step.Positions, rotaryDim, Theta, Eps);
        double[] expectedK = QkNormRotaryReference.Run(
            Seeded.ToDouble(step.K), headDim, headDim, Seeded.ToDouble(step.KNorm), step.Positions, rotaryDim, Theta, Eps);
        for (int i = 0; i < q.Length; i++)
        {
            bool isGate = i / headDim % 2 == 1;
            Assert.That(q[i], isGate ? Is.EqualTo(step.Q[i]) : Is.EqualTo(expectedQ[i]).Within(Tolerance), $"query element {i}");
        }

        // bf16 rounds to 2^-8 of a value beside.
        double unit = typeof(TStorage) == typeof(ushort) ? 1.0 / (1 << 8) : 0;
        var written = new bool[keys.Length];
        for (int i = 0; i < step.K.Length; i++)
        {
            int place = step.Place(i);
            written[place] = true;
            double bound = Tolerance + (unit * (Math.Abs(expectedK[i]) + Tolerance));
            Assert.That(TFormat.Load(keys[place]), Is.EqualTo(expectedK[i]).Within(bound), $"key element {i}");
            Assert.That(values[place], Is.EqualTo(TFormat.Store(step.V[i])), $"value element {i}");
        }

        Assert.That(keys.Where((_, i) => !written[i]), Is.All.EqualTo(step.Unwritten));
        Assert.That(values.Where((_, i) => !written[i]), Is.All.EqualTo(step.Unwritten));
    }

    [Test]
    public void GivesABatchTheBitsOfItsMembers()
    {
        var step = new Step(WarpDevice.Named(WarpDevice.Usual), 5, 6, 2, 64, 16);
        (float[] q, TStorage[] keys, _) = step.Run();

        for (int row = 0; row < 5; row++)
        {
            (float[] oneQ, TStorage[] oneKeys, _) = step.Run(row);
            int width = 6 * 2 * 64;
            Assert.That(oneQ, Is.EqualTo(q[(row * width)..((row + 1) * width)]));
            for (int i = row * 2 * 64; i < (row + 1) * 2 * 64; i++)
                Assert.That(oneKeys[step.Place(i)], Is.EqualTo(keys[step.Place(i)]));
        }
    }

    [TestCase(128, 64, 64, 32, 32, "qk_norm_rotary_append: columns of q is 128, heads · 2 · head size is 64")]
    [TestCase(64, 32, 64, 32, 32, "qk_norm_rotary_append: columns of k is 32, kv heads · head size of the pages is 64")]
    [TestCase(64, 64, 32, 32, 32, "qk_norm_rotary_append: columns of v is 32, columns of k is 64")]
    [TestCase(64, 64, 64, 16, 32, "qk_norm_rotary_append: length of qNorm is 16, head size is 32")]
    [TestCase(
        64, 64, 64, 48, 48,
        "qk_norm_rotary_append: 1 query heads of 48: heads must be positive, head size a multiple of 32 and at most 256")]
    public void RejectsOperandsThatDoNotFit(int qColumns, int kColumns, int vColumns, int weights, int headDim, string message)
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Names[0]);
        ArrayView<TStorage> view = device.Poisoned<TStorage>(2 * KvCache.PageTokens * headDim);

        ArgumentException error = Assert.Throws<ArgumentException>(() => QkNormRotaryAppend.Bind<TStorage, TFormat>(
            device.Loader, device.Poisoned<float>(2, qColumns), device.Poisoned<float>(2, kColumns), device.Poisoned<float>(2, vColumns), 1,
            new QkNormWeights(
                device.Poisoned<float>(weights), device.Poisoned<float>(weights), RotaryTable.Build(8, 16, Theta).Upload(device.Upload), Eps),
            new KvPages<TStorage>(view, view, 1, 2, headDim),
            new PagedRows(device.Poisoned<int>(2), device.Poisoned<int>(2), device.Poisoned<int>(1, 1))))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    /// <summary>Rows of seeded inputs, each at a place of its own in the pages.</summary>
    internal sealed class Step
    {
        private readonly TestDevice device;
        private readonly int heads;
        private readonly int kvHeads;
        private readonly int headDim;
        private readonly int rotaryDim;
        private readonly int[] table;

        public Step(TestDevice device, int rows, int heads, int kvHeads, int headDim, int rotaryDim)
        {
            this.device = device;
            this.heads = heads;
            this.kvHeads = kvHeads;
            this.headDim = headDim;
            this.rotaryDim = rotaryDim;
            Q = Seeded.Floats(rows + headDim, rows * heads * 2 * headDim, 2);
            K = Seeded.Floats(rows - headDim, rows * kvHeads * headDim, 3);
            V = Seeded.Floats(rows * headDim, rows * kvHeads * headDim, 3);
            QNorm = Seeded.Floats(headDim, headDim);
            KNorm = Seeded.Floats(-headDim, headDim);
            Positions = [.. Enumerable.Range(0, rows).Select(row => row == 1 ? 262143 : row * 7919)];
            table = [.. Enumerable.Range(0, 2 * Blocks).Select(i => (i * 5) % Pages)];
        }

        public float[] Q { get; }

        public float[] K { get; }

        public float[] V { get; }

        public float[] QNorm { get; }

        public float[] KNorm { get; }

        public int[] Positions { get; }

        public int RotaryDim => rotaryDim;

        public TStorage Unwritten => device.Download(device.Poisoned<TStorage>(1))[0];

        /// <summary>Where element i of k lies in the pages.</summary>
        public int Place(int i)
        {
            int row = i / (kvHeads * headDim);
            int page = table[(Slot(row) * Blocks) + (Positions[row] / KvCache.PageTokens)];
            int block = (page * kvHeads) + (i / headDim % kvHeads);
            return (((block * KvCache.PageTokens) + (Positions[row] % KvCache.PageTokens)) * headDim) + (i % headDim);
        }

        public (float[] Q, TStorage[] Keys, TStorage[] Values) Run() => Run(0, Positions.Length);

        public (float[] Q, TStorage[] Keys, TStorage[] Values) Run(int row) => Run(row, 1);

        private static int Slot(int row) => row % 2;

        private (float[] Q, TStorage[] Keys, TStorage[] Values) Run(int first, int count)
        {
            ArrayView<TStorage> keys = device.Poisoned<TStorage>((long)Pages * kvHeads * KvCache.PageTokens * headDim);
            ArrayView<TStorage> values = device.Poisoned<TStorage>(keys.Length);
            Matrix<float> q = Rows(Q, heads * 2 * headDim);
            device.Run(QkNormRotaryAppend.Bind<TStorage, TFormat>(
                device.Loader, q, Rows(K, kvHeads * headDim), Rows(V, kvHeads * headDim), heads,
                new QkNormWeights(
                    device.Upload(QNorm), device.Upload(KNorm), RotaryTable.Build(262144, rotaryDim, Theta).Upload(device.Upload), Eps),
                new KvPages<TStorage>(keys, values, Pages, kvHeads, headDim),
                new PagedRows(
                    device.Upload([.. Enumerable.Range(first, count).Select(Slot)]), device.Upload(Positions[first..(first + count)]),
                    device.Upload(table, 2, Blocks))));
            return (device.Download(q), device.Download(keys), device.Download(values));

            Matrix<float> Rows(float[] data, int width) => device.Upload(data[(first * width)..((first + count) * width)], count, width);
        }
    }
}
