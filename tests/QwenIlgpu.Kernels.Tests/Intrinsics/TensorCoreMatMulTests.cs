using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The tensor-core matmul: toy shapes on the CPU accelerator, middling ones on the PTX machine, and a fault in operands.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class TensorCoreMatMulTests
{
    // On the CPU accelerator at most four groups; K of one stage, of several, and off a stage; M and N off a tile.
    private static IEnumerable<TestCaseData> Shapes() => TestDevice.Kind == "cuda"
        ? [new("cuda", 64, 64, 64), new("cuda", 256, 256, 256), new("cuda", 203, 130, 424), new("cuda", 128, 1024, 5120)]
        :
        [
            new("cpu", 64, 64, 32), new("cpu", 64, 64, 128), new("cpu", 65, 70, 40),
            new(WarpDevice.Usual, 256, 256, 256), new(WarpDevice.Usual, 203, 130, 424), new(WarpDevice.Usual, 64, 128, 5120),
        ];

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceInF16(string deviceName, int m, int n, int k) =>
        Assert.That(Deviation<F16Operand>(WarpDevice.Named(deviceName), m, n, k), Is.LessThanOrEqualTo(1));

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceInBf16(string deviceName, int m, int n, int k) =>
        Assert.That(Deviation<Bf16Operand>(WarpDevice.Named(deviceName), m, n, k), Is.LessThanOrEqualTo(1));

    /// <summary>One tile of outputs, four stages of K.</summary>
    public static void RunOnce(TestDevice device) => Deviation<F16Operand>(device, 64, 64, 128);

    // Rows 6 and 7 of each A fragment.
    [Test]
    public void IsWrongWithASwappedFragmentRow() => Assert.That(
        Deviation<F16Operand>(WarpDevice.Named(WarpDevice.Names[0]), 64, 64, 128, row => (row & 15) is 6 or 7 ? row ^ 1 : row),
        Is.GreaterThan(1000));

    /// <summary>
    /// The largest error in units of what is allowed; infinite where an output is NaN. The emulated mma rounds once in 16 products, a GPU
    /// drops what lies below the largest term's 23rd bit at each of them.
    /// </summary>
    private static double Deviation<TOperand>(TestDevice device, int m, int n, int k, Func<int, int>? sourceOf = null)
        where TOperand : struct, IOperand16
    {
        BinaryFormat format = typeof(TOperand) == typeof(F16Operand) ? BinaryFormat.F16 : BinaryFormat.Bf16;
        ushort[] x = Random(format, m + (3 * k), m * k);
        ushort[] w = Random(format, n - k, n * k);
        Matrix<float> y = device.Poisoned<float>(m, n);
        ushort[] read = sourceOf is null ? x : Rows(x, sourceOf, k);
        var kernel = new TensorCoreMatMulKernel<TOperand>(Upload(device, read, m, k), Upload(device, w, n, k), y);

        device.Run(TensorCoreMatMulKernel<TOperand>.TensorCoreMatMul, kernel.Config, kernel);

        double[] xs = Array.ConvertAll(x, v => SmallFloat.ToDouble(format, v));
        double[] ws = Array.ConvertAll(w, v => SmallFloat.ToDouble(format, v));
        double[] expected = MatMulReference.Run(xs, ws, m, n, k);
        double[] magnitude = MatMulReference.Run(Array.ConvertAll(xs, Math.Abs), Array.ConvertAll(ws, Math.Abs), m, n, k);
        double roundings = TestDevice.Kind == "cuda" ? 2.0 * k : ((k + 15) / 16) + 1;
        double worst = 0;
        float[] actual = device.Download(y);
        for (int i = 0; i < actual.Length; i++)
        {
            double deviation = Math.Abs(actual[i] - expected[i]) / (roundings / (1 << 24) * magnitude[i]);
            worst = Math.Max(worst, double.IsNaN(deviation) ? double.PositiveInfinity : deviation);
        }

        return worst;
    }

    private static Matrix<UInt4> Upload(TestDevice device, ushort[] elements, int rows, int columns) =>
        new(device.Upload(MemoryMarshal.Cast<ushort, UInt4>(elements).ToArray()), rows, columns / 8);

    private static ushort[] Rows(ushort[] elements, Func<int, int> sourceOf, int columns) =>
        [.. elements.Select((_, i) => elements[(sourceOf(i / columns) * columns) + (i % columns)])];

    private static ushort[] Random(BinaryFormat format, int seed, int length)
    {
        var random = new Random(seed);
        var values = new ushort[length];
        for (int i = 0; i < length; i++)
            values[i] = (ushort)SmallFloat.ToBits(format, SmallFloat.Round(format, random.NextSingle() - 0.5f));
        return values;
    }
}
