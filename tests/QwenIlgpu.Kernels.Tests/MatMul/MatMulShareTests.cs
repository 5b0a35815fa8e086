using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The shares of the portable matmul: an output has the same bits whatever M and the number of threads are.</summary>
internal sealed class MatMulShareTests(PortableTier tier) : PortableTests(tier)
{
    private static readonly string[] Storages = ["INT4 g128", "INT4 g192", "INT4 g32", "INT4 g64 zeros", "INT8 g64", "INT8", "FP8 g64", "FP8", "FP4", "Bf16", "F16", "F32"];

    // [N, K]: one element, primes, off the tiles, K at and next to a stretch of 512, rows of Qwen3.5-0.8B.
    private static readonly (int N, int K)[] Shapes = [(1, 1), (31, 127), (37, 515), (18, 512), (16, 1057), (1024, 3584)];

    private static IEnumerable<TestCaseData> Cases() =>
        from storage in Storages
        from shape in Shapes
        where shape.N < 1024 || !storage.StartsWith("FP8", StringComparison.Ordinal)         // byte codes are INT8's loops
        select MachineFixtures.SlowIf(new TestCaseData(storage, shape.N, shape.K), shape.N * shape.K > 16_000);

    [TestCaseSource(nameof(Cases))]
    public void KeepsTheBitsOfARowWhateverTheBatch(string storage, int n, int k)
    {
        const int Most = 101;
        int most = (long)n * k > 1 << 20 ? 7 : Most;
        Matrix<float> x = Device.Upload(Seeded.Floats(n + k, most * k), most, k);
        Func<Matrix<float>, Matrix<float>, Launch> bind = Weights(storage, n, k);
        float[] all = Run(bind, x, n);

        foreach (int m in new[] { 1, 2, 3, 4, 5, 7, 33 }.Where(m => m < most))
        {
            float[] first = Run(bind, new Matrix<float>(x.Data, m, k), n);
            float[] last = Run(bind, new Matrix<float>(x.Data.SubView((long)(most - m) * k, (long)m * k), m, k), n);

            Assert.That(first.AsSpan().SequenceEqual(all.AsSpan(0, m * n)), $"M {m}");
            Assert.That(last.AsSpan().SequenceEqual(all.AsSpan((most - m) * n)), $"M {m}, the last rows");
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void KeepsTheBitsOfARowWhateverTheThreads(string storage, int n, int k)
    {
        Func<Matrix<float>, Matrix<float>, Launch> bind = Weights(storage, n, k);
        foreach (int m in new[] { 1, 5 })
        {
            Matrix<float> x = Device.Upload(Seeded.Floats(n + k, m * k), m, k);
            Matrix<float> y = default;

            float[] parts = RunInParts(() => [bind(x, y = Device.Poisoned<float>(m, n))], () => Device.Download(y));

            Assert.That(parts.AsSpan().SequenceEqual(Run(bind, x, n)), $"M {m}");
        }
    }

    // 65,536 rows of one element: every f16 there is, subnormals, infinities and NaN among them.
    [TestCase(1)]
    [TestCase(4)]
    public void ReadsEveryF16(int m)
    {
        UInt4[] words = [.. Enumerable.Range(0, 1 << 16).Select(bits => new UInt4((uint)bits, 0, 0, 0))];
        Matrix<float> y = Device.Poisoned<float>(m, words.Length);

        Device.Run(PortableMatMul.Bind(
            Device.Loader, Device.Upload([.. Enumerable.Repeat(1f, m)], m, 1), WeightMatrix.Dense(WeightType.F16, Device.Upload(words), words.Length, 1),
            y));

        float[] expected = [.. words.Select(w => (float)BitConverter.UInt16BitsToHalf((ushort)w.X))];
        for (int token = 0; token < m; token++)
            Assert.That(Device.Download(y)[(token * words.Length)..((token + 1) * words.Length)], Is.EqualTo(expected));
    }

    // A scale a row, of either sign, subnormals among them.
    [TestCase(1)]
    [TestCase(4, Category = MachineFixtures.Slow)]
    public void ReadsEveryF16Scale(int m)
    {
        const int K = 128;
        ushort[] bits = [.. Enumerable.Range(0, 1 << 16).Where(b => (b & 0x7c00) != 0x7c00).Select(b => (ushort)b)];
        var w = new Int4Reference(bits.Length, K, K, hasZeros: false);
        for (int row = 0; row < bits.Length; row++)
        {
            w.SetCode(row, 77, 3);
            w.Scales[Int4Layout.ScaleIndex(row, 0, 1)] = bits[row];
        }

        float[] x = [.. Enumerable.Range(0, m * K).Select(i => i % K == 77 ? 1f : 0)];
        Matrix<float> y = Device.Poisoned<float>(m, bits.Length);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, K), Quantized.Upload(Device, w, WeightType.F16), y));

        float[] expected = [.. bits.Select(b => -5 * (float)BitConverter.UInt16BitsToHalf(b))];
        for (int token = 0; token < m; token++)
            Assert.That(Device.Download(y)[(token * bits.Length)..((token + 1) * bits.Length)], Is.EqualTo(expected));
    }

    [TestCase("INT4 g64 zeros")]
    [TestCase("INT8")]
    [TestCase("Bf16")]
    public void KeepsNaNInItsRow(string storage)
    {
        const int M = 6;
        const int N = 20;
        const int K = 130;
        float[] x = Seeded.Floats(1, M * K);
        x[(2 * K) + 129] = float.NaN;
        x[(4 * K) + 3] = float.PositiveInfinity;

        float[] y = Run(Weights(storage, N, K), Device.Upload(x, M, K), N);

        bool[] isFinite = [.. Enumerable.Range(0, M).Select(t => y.AsSpan(t * N, N).ToArray().All(float.IsFinite))];
        Assert.That(isFinite, Is.EqualTo(new[] { true, true, false, true, false, true }));
        Assert.That(y[(2 * N)..(3 * N)], Has.All.NaN);
    }

    private static float[] Run(Func<Matrix<float>, Matrix<float>, Launch> bind, Matrix<float> x, int n)
    {
        Matrix<float> y = Device.Poisoned<float>(x.Rows, n);
        Device.Run(bind(x, y));
        return Device.Download(y);
    }

    private static Func<Matrix<float>, Matrix<float>, Launch> Weights(string storage, int n, int k)
    {
        string[] words = storage.Split(' ');
        int groupSize = words.Length > 1 ? int.Parse(words[1].AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) : Int8Layout.RowGroup(k);
        WeightMatrix w = words[0] switch
        {
            "INT4" => Quantized.Upload(
                Device, Quantized.RandomInt4(n, k, groupSize, WeightType.F16, words[^1] == "zeros"), WeightType.F16),
            "INT8" => Quantized.Upload(Device, Quantized.RandomInt8(n, k, groupSize, WeightType.Bf16), WeightType.Bf16),
            "FP4" => Quantized.Upload(Device, Quantized.RandomFp4(n, k)),
            "FP8" => Quantized.Upload(Device, Quantized.RandomFp8(n, k, groupSize)),
            _ => Dense(Enum.Parse<WeightType>(storage)),
        };
        return (x, y) => PortableMatMul.Bind(Device.Loader, x, w, y);

        WeightMatrix Dense(WeightType type) => WeightMatrix.Dense(
            type, Device.Upload(DenseReference.Pack(type, Seeded.Floats(n - k, n * k), n, k)), n, k);
    }
}
