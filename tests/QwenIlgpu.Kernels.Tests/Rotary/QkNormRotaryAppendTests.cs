namespace QwenIlgpu.Kernels.Tests;

/// <summary>Norm, rotation and append in one launch, held against the definitions and the two portable kernels.</summary>
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(F32PageFormat), typeof(F32PageFormat)])]
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(Bf16PageFormat), typeof(Bf16PageFormat)])]
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(Int8PageFormat), typeof(Int8PageFormat)])]
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(Int4PageFormat), typeof(Int4PageFormat)])]
[UnderSchedules(UsesTensorCores = false, TypeArgs = [typeof(Int8PageFormat), typeof(Int4PageFormat)])]
[NonParallelizable]
internal sealed class QkNormRotaryAppendTests<TKeys, TValues>
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
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

        (float[] q, UInt4[] keys, UInt4[] values) = step.Run();

        Check(step, q, keys, values);
    }

    internal static void Check(Step step, float[] q, UInt4[] keys, UInt4[] values)
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

        (int Page, int Token)[] places = [.. Enumerable.Range(0, step.Positions.Length).Select(step.Place)];
        StoredRow.AssertOnlyThese<TKeys>(keys, step.KvHeads, headDim, places);
        StoredRow.AssertOnlyThese<TValues>(values, step.KvHeads, headDim, places);
        for (int row = 0; row < places.Length; row++)
        {
            for (int kvHead = 0; kvHead < step.KvHeads; kvHead++)
            {
                int start = ((row * step.KvHeads) + kvHead) * headDim;
                AssertStored<TKeys>(expectedK[start..(start + headDim)], Tolerance, keys, step.KvHeads, places[row], kvHead);
                AssertStored<TValues>(Seeded.ToDouble(step.V[start..(start + headDim)]), 0, values, step.KvHeads, places[row], kvHead);
            }
        }
    }

    private static void AssertStored<TFormat>(
        double[] row, double error, UInt4[] pages, int kvHeads, (int Page, int Token) place, int kvHead)
        where TFormat : struct, IPageFormat
    {
        double[] wanted = TFormat.IsQuantized ? StoredRow.Turned(row) : row;
        double[] stored = StoredRow.ReadTurned<TFormat>(
            StoredRow.Block<TFormat>(pages, kvHeads, row.Length, place.Page, kvHead), row.Length, place.Token);

        // Errors of the elements add up as their roots do where rows are turned, and turning has its own.
        double inputError = TFormat.IsQuantized ? (error * Math.Sqrt(row.Length)) + (1e-6 * wanted.Max(Math.Abs)) : error;
        for (int d = 0; d < row.Length; d++)
            Assert.That(stored[d], Is.EqualTo(wanted[d]).Within(StoredRow.Bound<TFormat>(wanted, d, inputError)), $"{place}, head {kvHead}, element {d}");
    }

    [Test]
    public void GivesABatchTheBitsOfItsMembers()
    {
        var step = new Step(WarpDevice.Named(WarpDevice.Usual), 5, 6, 2, 64, 16);
        (float[] q, UInt4[] keys, _) = step.Run();

        for (int row = 0; row < 5; row++)
        {
            (float[] oneQ, UInt4[] oneKeys, _) = step.Run(row);
            int width = 6 * 2 * 64;
            Assert.That(oneQ, Is.EqualTo(q[(row * width)..((row + 1) * width)]));
            (int page, int token) = step.Place(row);
            for (int kvHead = 0; kvHead < 2; kvHead++)
            {
                Assert.That(
                    StoredRow.ReadTurned<TKeys>(StoredRow.Block<TKeys>(oneKeys, 2, 64, page, kvHead), 64, token),
                    Is.EqualTo(StoredRow.ReadTurned<TKeys>(StoredRow.Block<TKeys>(keys, 2, 64, page, kvHead), 64, token)));
            }
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
        KvPages<TKeys, TValues> pages = headDim == 48 && KvPages<TKeys, TValues>.AreQuantized
            ? new KvPages<TKeys, TValues>(default, default, 1, 2, headDim)
            : PagedSequences<TKeys, TValues>.Poisoned(device, 1, 2, headDim);

        ArgumentException error = Assert.Throws<ArgumentException>(() => QkNormRotaryAppend.Bind<TKeys, TValues>(
            device.Loader, device.Poisoned<float>(2, qColumns), device.Poisoned<float>(2, kColumns), device.Poisoned<float>(2, vColumns), 1,
            new QkNormWeights(
                device.Poisoned<float>(weights), device.Poisoned<float>(weights), RotaryTable.Build(8, 16, Theta).Upload(device.Upload), Eps),
            pages,
            new PagedRows(device.Poisoned<int>(2), device.Poisoned<int>(2), device.Poisoned<int>(1, 1))))!;

        bool isRefusedByPages = headDim == 48 && KvPages<TKeys, TValues>.AreQuantized;
        Assert.That(error.Message, Is.EqualTo(isRefusedByPages ? "qk_norm_rotary_append: head size is 48, it must be a multiple of 32" : message));
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

        public int KvHeads => kvHeads;

        /// <summary>The page and the place in it of a row.</summary>
        public (int Page, int Token) Place(int row) =>
            (table[(Slot(row) * Blocks) + (Positions[row] / KvCache.PageTokens)], Positions[row] % KvCache.PageTokens);

        public (float[] Q, UInt4[] Keys, UInt4[] Values) Run() => Run(0, Positions.Length);

        public (float[] Q, UInt4[] Keys, UInt4[] Values) Run(int row) => Run(row, 1);

        private static int Slot(int row) => row % 2;

        private (float[] Q, UInt4[] Keys, UInt4[] Values) Run(int first, int count)
        {
            KvPages<TKeys, TValues> pages = PagedSequences<TKeys, TValues>.Poisoned(device, Pages, kvHeads, headDim);
            Matrix<float> q = Rows(Q, heads * 2 * headDim);
            device.Run(QkNormRotaryAppend.Bind<TKeys, TValues>(
                device.Loader, q, Rows(K, kvHeads * headDim), Rows(V, kvHeads * headDim), heads,
                new QkNormWeights(
                    device.Upload(QNorm), device.Upload(KNorm), RotaryTable.Build(262144, rotaryDim, Theta).Upload(device.Upload), Eps),
                pages,
                new PagedRows(
                    device.Upload([.. Enumerable.Range(first, count).Select(Slot)]), device.Upload(Positions[first..(first + count)]),
                    device.Upload(table, 2, Blocks))));
            return (device.Download(q), device.Download(pages.Keys), device.Download(pages.Values));

            Matrix<float> Rows(float[] data, int width) => device.Upload(data[(first * width)..((first + count) * width)], count, width);
        }
    }
}
