using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the decode matmul does before and after its products: norm, several projections, and every way to finish.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DecodeEpilogueTests
{
    private const int K = 192;
    private const int N = 40;

    private static readonly DecodeWeights First = DecodeWeights.Random("int4", N, K, 64, WeightType.F16, 1);

    private static TestDevice Device => DecodeRun.Device;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // The fused kernel and, from nine rows on, the packing one against the norm as an op of its own. Of plain weights beside others too.
    [TestCase(1, 192, "int4")]
    [TestCase(3, 192, "int4")]
    [TestCase(9, 192, "int4")]
    [TestCase(1, 9216, "int4")]
    [TestCase(1, 16640, "int4")]
    [TestCase(9, 16640, "int4")]
    [TestCase(1, 16640, "bf16")]
    [TestCase(1, 16640, "int4+bf16")]
    public void NormalisesAsTheNormAlone(int m, int k, string format)
    {
        DecodeWeights[] weights = [.. format.Split('+').Select((f, i) => DecodeWeights.Random(f, 16, k, 64, WeightType.F16, 3 + i))];
        int[] rows = [.. weights.Select(_ => 16)];
        Matrix<float> x = Device.Upload(Seeded.Floats(m, m * k), m, k);
        ArrayView<float> norm = Device.Upload(Seeded.Floats(4, k));
        Matrix<float> normalised = Device.Poisoned<float>(m, k);
        Device.Run(RmsNorm.BindRows(Device.Loader, x, norm, normalised, 1e-6f));

        float[] fused = Run(new MatMulRows(x, norm, 1e-6f), weights, default, rows);
        float[] separate = Run(new MatMulRows(normalised), weights, default, rows);

        Assert.That(fused, Is.EqualTo(separate));
        float[] normalisedRows = Device.Download(normalised);
        for (int i = 0; i < weights.Length; i++)
        {
            float[] y = separate[(i * 16 * m)..((i + 1) * 16 * m)];
            Assert.That(DecodeRun.Deviation(y, normalisedRows, weights[i].Values, m, 16, k, default), Is.LessThanOrEqualTo(1), $"weights {i}");
        }

        double[] expected = RmsNormReference.Run(
            Array.ConvertAll(Seeded.Floats(m, m * k), v => (double)v),
            Array.ConvertAll(Seeded.Floats(4, k), v => (double)v),
            m,
            1e-6);
        Assert.That(normalisedRows, Is.EqualTo(expected).Within(1e-5));
    }

    // Rows of four projections, a plain one among them, as each projection alone: K in one piece, in two, in four, and in long ones; on so few
    // multiprocessors that groups take several units each.
    [TestCase(1, Operand16.Bf16, 192, 0)]
    [TestCase(3, Operand16.Bf16, 1728, 0)]
    [TestCase(1, Operand16.Bf16, 2176, 0)]
    [TestCase(1, Operand16.Bf16, 4160, 0)]
    [TestCase(1, Operand16.Bf16, 64, 2)]
    [TestCase(9, Operand16.Bf16, 256, 2)]
    [TestCase(9, Operand16.Bf16, 192, 0, Category = "Exhaustive")]
    [TestCase(17, Operand16.Bf16, 192, 0, Category = "Exhaustive")]
    [TestCase(1, Operand16.F16, 192, 0, Category = "Exhaustive")]
    [TestCase(9, Operand16.F16, 192, 0, Category = "Exhaustive")]
    [TestCase(17, Operand16.F16, 192, 0, Category = "Exhaustive")]
    public void ProjectionsOfALaunchAreEachAlone(int m, object operandType, int k, int multiprocessors)
    {
        var operand = (Operand16)operandType;
        int[] rows = [37, 101, 40, 16];
        DecodeWeights[] weights =
        [
            DecodeWeights.Random("int4", 37, k, 64, WeightType.F16, 4), DecodeWeights.Random("int4", 101, k, 64, WeightType.F16, 5),
            DecodeWeights.Random(operand == Operand16.F16 ? "f16" : "bf16", 40, k, 0, WeightType.Bf16, 6),
            DecodeWeights.Random("int4", 16, k, 64, WeightType.F16, 7),
        ];
        var x = new MatMulRows(
            Device.Upload(Seeded.Floats(m, m * k), m, k), k > 192 ? Device.Upload(Seeded.Floats(4, k)) : default, 1e-6f);

        float[] together = Device.On(multiprocessors, () => Run(x, weights, default, rows, operand));

        float[] alone = [.. rows.Select((n, i) => (N: n, Weights: weights[i])).SelectMany(p => Run(x, [p.Weights], default, [p.N], operand))];
        Assert.That(together, Is.EqualTo(alone));
    }

    // Beside the small shape: K beyond what a warp loads ahead, in two pieces; in four; several units a group.
    [TestCase(1, 192, 40, "int4", 0)]
    [TestCase(9, 256, 40, "int4", 0)]
    [TestCase(1, 2176, 40, "int4", 0)]
    [TestCase(9, 2176, 40, "int4", 0)]
    [TestCase(1, 4160, 37, "int4", 0)]
    [TestCase(1, 128, 170, "int4", 1)]
    [TestCase(9, 128, 170, "int4", 1)]
    [TestCase(2, 248, 40, "bf16", 0)]
    [TestCase(1, 4160, 37, "bf16", 0)]
    [TestCase(1, 64, 170, "bf16", 1)]
    public void MultipliesGateAndUp(int m, int k, int n, string format, int multiprocessors)
    {
        DecodeWeights first = DecodeWeights.Random(format, n, k, 64, WeightType.F16, 1);
        DecodeWeights second = DecodeWeights.Random(format, n, k, 64, WeightType.F16, 2);
        var x = new MatMulRows(Device.Upload(Seeded.Floats(m, m * k), m, k));
        float[] gate = Run(x, [first], default, [n]);
        float[] up = Run(x, [second], default, [n]);

        float[] y = Device.On(multiprocessors, () => Run(x, [first, second], new Epilogue(SwiGlu: true), [n]));

        double[] expected = SwiGluReference.Run(Array.ConvertAll(gate, v => (double)v), Array.ConvertAll(up, v => (double)v));
        double tolerance = 1e-6 * (1 + up.Max(Math.Abs));        // splits of other numbers of units are summed in another order
        for (int i = 0; i < y.Length; i++)
            Assert.That(y[i], Is.EqualTo(expected[i]).Within(tolerance + (1e-6 * Math.Abs(expected[i]))), $"output {i}");
    }

    [TestCase(1, "int4")]
    [TestCase(9, "int4")]
    [TestCase(1, "bf16")]
    public void AddsTheResidualInPlace(int m, string format)
    {
        DecodeWeights weights = DecodeWeights.Random(format, N, K, 64, WeightType.F16, 1);
        var x = new MatMulRows(Device.Upload(Seeded.Floats(m, m * K), m, K));
        float[] plain = Run(x, [weights], default, [N]);
        float[] residual = Seeded.Floats(12, m * N);

        Matrix<float> y = Device.Upload(residual, m, N);
        Device.Run(DecodeMatMul.Bind(
            Device.Loader,
            x,
            [new Projection(weights.Upload(Device), y)],
            new Epilogue(Residual: y),
            Operand16.Bf16,
            DecodeRun.Scratch(m, K, [N])));

        Assert.That(Device.Download(y), Is.EqualTo(plain.Zip(residual, (p, r) => p + r)));
    }

    // Rows 7 and 21 are one row twice, the largest of token 0; ids from 37 on are none.
    [TestCase(1)]
    [TestCase(9)]
    public void FindsTheLargestOfEqualsLowestFirst(int m)
    {
        const int Vocabulary = 37;
        float[] w = Seeded.Floats(20, N * K);
        float[] x = Seeded.Floats(21, m * K);
        for (int k = 0; k < K; k++)
            w[(7 * K) + k] = w[(21 * K) + k] = w[(38 * K) + k] = Math.Sign(x[k]);
        UInt4[] words = DenseReference.Pack(WeightType.Bf16, w, N, K);
        Matrix<float> logits = Device.Poisoned<float>(m, N);
        ArrayView<int> ids = Device.Poisoned<int>(m);
        WeightMatrix head = WeightMatrix.Dense(WeightType.Bf16, Device.Upload(words), N, K);

        Device.Run(DecodeMatMul.Bind(
            Device.Loader,
            new MatMulRows(Device.Upload(x, m, K)),
            [new Projection(head, logits)],
            new Epilogue(ArgMax: new ArgMaxOutput(ids, Vocabulary)),
            Operand16.Bf16,
            DecodeRun.Scratch(m, K, [N], argMax: true)));

        int[] actual = Device.Download(ids);
        float[] values = Device.Download(logits);
        Assert.That(actual[0], Is.EqualTo(7));
        for (int token = 0; token < m; token++)
        {
            float[] row = values[(token * N)..((token * N) + Vocabulary)];
            Assert.That(actual[token], Is.EqualTo(Array.IndexOf(row, row.Max())), $"token {token}");
        }
    }

    // Of forty rows the largest of the first token is the last of a unit, that of the second the first and larger than any of the first's. In
    // one piece, K in four, several units a group; of a last token of zeros all logits are equal. Of the rows three are no tokens.
    [TestCase(3, 192, 40, "int4", 0)]
    [TestCase(3, 192, 40, "bf16", 0)]
    [TestCase(2, 4160, 40, "int4", 0)]
    [TestCase(2, 64, 170, "int4", 1)]
    [TestCase(2, 64, 170, "bf16", 1)]
    [TestCase(9, 256, 170, "int4", 1)]
    public void FindsTheLargestWhereverItIs(int m, int k, int n, string format, int multiprocessors)
    {
        DecodeWeights weights = DecodeWeights.Random(format, n, k, 64, WeightType.F16, 15);
        float[] x = Seeded.Floats(22, m * k);
        for (int i = 0; i < k; i++)
            (x[i], x[k + i]) = ((float)weights.Values[(31 * k) + i], 3 * (float)weights.Values[i]);
        x.AsSpan((m - 1) * k, m > 2 ? k : 0).Clear();
        Matrix<float> logits = Device.Poisoned<float>(m, n);
        ArrayView<int> ids = Device.Poisoned<int>(m);

        Device.Run(Device.On(multiprocessors, () => DecodeMatMul.Bind(
            Device.Loader,
            new MatMulRows(Device.Upload(x, m, k)),
            [new Projection(weights.Upload(Device), logits)],
            new Epilogue(ArgMax: new ArgMaxOutput(ids, n - 3)),
            Operand16.Bf16,
            DecodeRun.Scratch(m, k, [n], argMax: true))));

        float[] values = Device.Download(logits);
        int[] actual = Device.Download(ids);
        for (int token = 0; token < m; token++)
        {
            float[] row = values[(token * n)..((token * n) + n - 3)];
            Assert.That(actual[token], Is.EqualTo(Array.IndexOf(row, row.Max())), $"token {token}");
        }
    }

    // So many rows that a unit is eight row tiles, one a warp, from nine tokens on; the last unit is not full.
    [TestCase(9, false, Category = "Exhaustive")]
    [TestCase(17, false, Category = "Exhaustive")]
    [TestCase(9, true)]
    public void LargeUnitsHaveTheBitsOfSmallOnes(int m, bool swiGlu)
    {
        const int LongN = 16400;
        const int ShortK = 256;
        DecodeWeights weights = DecodeWeights.Random("int4", LongN, ShortK, 64, WeightType.F16, 10);
        float[] x = Seeded.Floats(14, m * ShortK);
        DecodeWeights[] projections = swiGlu ? [weights, weights] : [weights];
        int[] rows = swiGlu ? [LongN, LongN] : [LongN];
        Assert.That(DecodePlan.Of(m, ShortK, rows, swiGlu).UnitTiles, Is.EqualTo(8));

        float[] all = Run(new MatMulRows(Device.Upload(x, m, ShortK)), projections, new Epilogue(SwiGlu: swiGlu), [LongN]);

        foreach (int token in new[] { 0, m - 1 })
        {
            float[] row = x[(token * ShortK)..((token + 1) * ShortK)];
            float[] alone = Run(new MatMulRows(Device.Upload(row, 1, ShortK)), projections, new Epilogue(SwiGlu: swiGlu), [LongN]);
            Assert.That(alone, Is.EqualTo(all[(token * LongN)..((token + 1) * LongN)]), $"token {token}");
        }
    }

    // K over several groups; the same launch twice finds its tickets as it needs them.
    [Test]
    public void RepeatsWhereKIsSplit()
    {
        const int LongK = 4096;
        DecodeWeights weights = DecodeWeights.Random("int4", 33, LongK, 128, WeightType.F16, 8);
        Matrix<float> x = Device.Upload(Seeded.Floats(9, LongK), 1, LongK);
        Matrix<float> y = Device.Poisoned<float>(1, 33);
        MatMulScratch scratch = DecodeRun.Scratch(1, LongK, [33]);
        Launch[] launches = DecodeMatMul.Bind(
            Device.Loader, new MatMulRows(x), [new Projection(weights.Upload(Device), y)], default, Operand16.Bf16, scratch);
        Assert.That(DecodePlan.Of(1, LongK, [33]).Splits, Is.EqualTo(4));

        Device.Run(launches);
        float[] first = Device.Download(y);
        Device.Run(launches);

        Assert.That(Device.Download(y), Is.EqualTo(first));
        Assert.That(Device.Download(scratch.Tickets), Is.All.Zero);
        Assert.That(first, Has.None.NaN);
    }

    [Test]
    public void RejectsWhatDoesNotFit()
    {
        var x = new MatMulRows(Device.Upload(new float[2 * K], 2, K));
        Projection Projection(int m, int n) => new(First.Upload(Device), Device.Poisoned<float>(m, n));
        Launch[] Bind(MatMulRows rows, Projection projection, Epilogue finish = default) => DecodeMatMul.Bind(
            Device.Loader, rows, [projection], finish, Operand16.Bf16, DecodeRun.Scratch(2, K, [N]));

        Assert.That(() => Bind(x, Projection(2, N - 1)), Throws.ArgumentException.With.Message.Contains($"columns of y0 is {N - 1}"));
        Assert.That(() => Bind(x, Projection(3, N)), Throws.ArgumentException.With.Message.Contains("rows of y0 is 3, rows of x is 2"));
        Assert.That(
            () => Bind(new MatMulRows(Device.Upload(new float[2 * 64], 2, 64)), Projection(2, N)),
            Throws.ArgumentException.With.Message.Contains($"columns of w0 is {K}, columns of x is 64"));
        Assert.That(
            () => Bind(x, Projection(2, N), new Epilogue(SwiGlu: true)),
            Throws.ArgumentException.With.Message.Contains("projections of SwiGLU is 1"));
        WeightMatrix withZeros = DecodeWeights.Random("int4z", N, K, 64, WeightType.F16, 1).Upload(Device);
        Assert.That(ProjectionSet.CanFuse([First.Upload(Device), withZeros], default), Is.False);
    }

    [TestCase(1, 2, 132, 1)]
    [TestCase(320, 1, 132, 160)]
    [TestCase(1088, 1, 132, 218)]
    [TestCase(3, 4, 132, 3)]
    [TestCase(7, 1, 1, 2)]
    public void SharesUnitsOutEvenly(int units, int splits, int multiprocessors, int groups) =>
        Assert.That(DecodeGrid.Groups(units, splits, multiprocessors), Is.EqualTo(groups));

    private static float[] Run(MatMulRows x, DecodeWeights[] weights, Epilogue finish, int[] rows, Operand16 operand = default)
    {
        int m = x.X.Rows;
        int[] weightRows = finish.SwiGlu ? [rows[0], rows[0]] : rows;
        Matrix<float>[] ys = [.. rows.Select(n => Device.Poisoned<float>(m, n))];
        Projection[] projections =
            [.. weights.Select((w, i) => new Projection(w.Upload(Device), i < ys.Length ? ys[i] : default))];
        Device.Run(DecodeMatMul.Bind(
            Device.Loader, x, projections, finish, operand, DecodeRun.Scratch(m, x.X.Columns, weightRows, finish.SwiGlu)));
        return [.. ys.SelectMany(y => Device.Download(y))];
    }
}
