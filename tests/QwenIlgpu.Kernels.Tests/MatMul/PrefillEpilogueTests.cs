using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the prefill matmul does before and after its products, each against the plain matmul of the same launch shape.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class PrefillEpilogueTests
{
    private const int M = 99;
    private const int N = 40;
    private const int K = 192;

    private static readonly DecodeWeights First = DecodeWeights.Random("int4", N, K, 64, WeightType.F16, 1);

    private static TestDevice Device => DecodeRun.Device;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [Test]
    public void NormalisesAsTheNormAlone()
    {
        var run = new PrefillRun(Device, M, K) { NormSeed = 4 };

        float[] separate = new PrefillRun(Device, M, K) { X = Normalised(run, M, K) }.Y(First, N);

        Assert.That(run.Y(First, N), Is.EqualTo(separate));
    }

    // In the long row a thread has words of three chunks.
    [TestCase(7160)]
    [TestCase(16640)]
    public void RoundsALongRowAsTheNormAlone(int k)
    {
        var run = new PrefillRun(Device, 2, k) { NormSeed = 4 };

        UInt4[] separate = Device.Download(new PrefillRun(Device, 2, k) { X = Normalised(run, 2, k) }.Pack().Words);

        Assert.That(Device.Download(run.Pack().Words), Is.EqualTo(separate));
    }

    // Slices of the rows one after the other through one buffer, each into its columns of y; both operands are rounded.
    [Test]
    public void SlicesExpandedToBf16AreTheMatMul()
    {
        const int Rows = 96;
        const int SliceRows = 48;
        DecodeWeights weights = DecodeWeights.Random("int4", Rows, K, 64, WeightType.Bf16, 3);
        WeightMatrix codes = weights.Upload(Device);
        var slice = WeightMatrix.Dense(
            WeightType.Bf16, Device.Poisoned<UInt4>(DenseLayout.Bytes(WeightType.Bf16, SliceRows, K) / 16), SliceRows, K);
        var run = new PrefillRun(Device, M, K);
        Matrix<float> y = Device.Poisoned<float>(M, Rows);

        for (int first = 0; first < Rows; first += SliceRows)
        {
            Device.Run(ExpandInt4.Bind(Device.Loader, codes, first, slice));
            var columns = new Matrix<float>(y.Data.SubView(first, y.Data.Length - first), M, SliceRows, Rows);
            run.Run<WidePrefillTile>([new Projection(slice, columns)], default);
        }

        Assert.That(run.Deviation(Device.Download(y), weights, Rows), Is.LessThanOrEqualTo(2.05));
    }

    // Rows of three projections, one of them of several units.
    [TestCase("int4")]
    [TestCase("bf16")]
    public void ProjectionsOfALaunchAreEachAlone(string format)
    {
        int[] rows = [N, 301, 16];
        DecodeWeights[] weights = [.. rows.Select((n, i) => DecodeWeights.Random(format, n, K, 64, WeightType.F16, 5 + i))];
        var run = new PrefillRun(Device, M, K);
        Matrix<float>[] ys = [.. rows.Select(n => Device.Poisoned<float>(M, n))];

        run.Run<WidePrefillTile>(
            [.. weights.Select((w, i) => new Projection(w.Upload(Device), ys[i]))], default);

        for (int i = 0; i < rows.Length; i++)
            Assert.That(Device.Download(ys[i]), Is.EqualTo(run.Y(weights[i], rows[i])), $"projection {i}");
    }

    [TestCase("int4")]
    [TestCase("bf16")]
    public void MultipliesGateAndUp(string format)
    {
        DecodeWeights gate = DecodeWeights.Random(format, N, K, 64, WeightType.F16, 1);
        DecodeWeights up = DecodeWeights.Random(format, N, K, 64, WeightType.F16, 2);
        var run = new PrefillRun(Device, M, K);

        float[] y = Run([gate, up], new Epilogue(SwiGlu: true));

        AssertClose(y, SwiGluReference.Run(Doubles(run.Y(gate, N)), Doubles(run.Y(up, N))));
    }

    [TestCase("int4")]
    [TestCase("bf16")]
    public void AddsTheResidual(string format)
    {
        DecodeWeights weights = DecodeWeights.Random(format, N, K, 64, WeightType.F16, 1);
        float[] residual = Seeded.Floats(5, M * N);
        float[] products = new PrefillRun(Device, M, K).Y(weights, N);

        float[] y = Run([weights], new Epilogue(Residual: Device.Upload(residual, M, N)));

        Assert.That(y, Is.EqualTo(products.Zip(residual, (p, r) => p + r)));
    }

    // Few rows and a long K: two splits and four, summed by whichever group comes last, and a second launch with the same tickets.
    [TestCase("int4", 1088, 2)]
    [TestCase("bf16", 1088, 2)]
    [TestCase("int4", 2048, 4)]
    public void FinishesSplitsOnce(string format, int longK, int splits)
    {
        DecodeWeights weights = DecodeWeights.Random(format, N, longK, 64, WeightType.F16, 9);
        Assert.That(PrefillPlan.Of<WidePrefillTile>(M, longK, [N], swiGlu: false).Cut.Splits, Is.EqualTo(splits));
        var run = new PrefillRun(Device, M, longK);
        float[] residual = Seeded.Floats(5, M * N);
        Matrix<float> y = Device.Poisoned<float>(M, N);

        run.Run<WidePrefillTile>(
            [new Projection(weights.Upload(Device), y)], new Epilogue(Residual: Device.Upload(residual, M, N)));

        float[] products = run.Y(weights, N);
        Assert.That(run.Deviation(products, weights, N), Is.LessThanOrEqualTo(1));
        AssertClose(Device.Download(y), [.. products.Select((p, i) => (double)residual[i] + p)]);
    }

    [Test]
    public void RejectsWhatDoesNotFit()
    {
        PrefillRows x = new PrefillRun(Device, 3, K).Pack();
        var y = new Projection(First.Upload(Device), Device.Poisoned<float>(2, N));

        Assert.That(
            () => PrefillMatMul.Bind(Device.Loader, x, [y], default, default, PrefillTile.Wide),
            Throws.ArgumentException.With.Message.Contains("rows of y0 is 2, rows of x is 3"));
        Assert.That(
            () => PrefillMatMul.Bind(Device.Loader, x with { Columns = K + 64 }, [y], default, default, PrefillTile.Wide),
            Throws.ArgumentException.With.Message.Contains("words of x"));
    }

    private static float[] Run(DecodeWeights[] weights, Epilogue finish)
    {
        Matrix<float> y = Device.Poisoned<float>(M, N);
        Projection[] projections =
            [.. weights.Select((w, i) => new Projection(w.Upload(Device), i == 0 ? y : default))];
        new PrefillRun(Device, M, K).Run<WidePrefillTile>(projections, finish);
        return Device.Download(y);
    }

    private static double[] Doubles(float[] values) => Array.ConvertAll(values, v => (double)v);

    private static void AssertClose(float[] actual, double[] expected)
    {
        for (int i = 0; i < actual.Length; i++)
            Assert.That(actual[i], Is.EqualTo(expected[i]).Within(1e-6 + (1e-6 * Math.Abs(expected[i]))), $"output {i}");
    }

    private static float[] Normalised(PrefillRun run, int m, int k)
    {
        Matrix<float> normalised = Device.Poisoned<float>(m, k);
        Device.Run(RmsNorm.BindRows(
            Device.Loader, Device.Upload(run.X, m, k), Device.Upload(Seeded.Floats(4, k)), normalised, 1e-6f));
        return Device.Download(normalised);
    }
}
