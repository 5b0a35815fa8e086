using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// mma against exact arithmetic on whole matrices: body and machine bit for bit, a GPU within the roundings that its adders may make.
/// </summary>
[TestFixtureSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
[NonParallelizable]
internal sealed class MmaTests(string deviceName)
{
    private const int K = 16;
    private const int Samples = 12;
    private const int Lanes = Samples * 32;

    private UInt4[] a = [];
    private UInt2[] b = [];
    private Float4[] c = [];
    private Float4[] f16 = [];
    private Float4[] bf16 = [];

    private bool IsExact => deviceName != "cuda";

    [OneTimeSetUp]
    public void Run()
    {
        TestDevice device = WarpDevice.Named(deviceName);
        var random = new Random(7);
        a = [.. Enumerable.Range(0, Lanes).Select(i => new UInt4(Word(i), Word(i), Word(i), Word(i)))];
        b = [.. Enumerable.Range(0, Lanes).Select(i => new UInt2(Word(i), Word(i)))];
        c = [.. Enumerable.Range(0, Lanes).Select(i => new Float4(Addend(i), Addend(i), Addend(i), Addend(i)))];
        var kernel = new MmaKernel(
            device.Upload(a), device.Upload(b), device.Upload(c), device.Poisoned<Float4>(Lanes), device.Poisoned<Float4>(Lanes));
        device.Run(MmaKernel.Products, new KernelConfig(1, 32), kernel);
        (f16, bf16) = (device.Download(kernel.F16Results), device.Download(kernel.Bf16Results));
        device.Release();

        // By turns: numbers near 1, in f16 and bf16 alike; any bits, infinities and NaN among them; any finite f16 with a wide range.
        uint Word(int index) => (index / 32 % 3) switch
        {
            0 => Near() | (Near() << 16),
            1 => (uint)random.NextInt64(1L << 32),
            _ => (uint)random.NextInt64(1L << 32) & 0xbfffbfffu,
        };

        float Addend(int index) => (index / 32 % 3) switch
        {
            0 => (random.NextSingle() - 0.5f) * 8,
            1 => BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32)),
            _ => MathF.ScaleB(random.NextSingle() - 0.5f, random.Next(-30, 30)),
        };

        uint Near() => (uint)(0x3c00 + random.Next(0x400)) | (random.Next(2) == 0 ? 0u : 0x8000u);
    }

    [Test]
    public void RoundsTheExactSumOfF16() =>
        Check(f16, (word, half) => SmallFloat.ToDouble(BinaryFormat.F16, (word >> (16 * half)) & 0xffff));

    [Test]
    public void RoundsTheExactSumOfBf16() =>
        Check(bf16, (word, half) => SmallFloat.ToDouble(BinaryFormat.Bf16, (word >> (16 * half)) & 0xffff));

    private void Check(Float4[] results, Func<uint, int, double> element)
    {
        for (int sample = 0; sample < Samples; sample++)
        {
            var left = new double[16, K];
            var right = new double[K, 8];
            for (int lane = 0; lane < 32; lane++)
            {
                UInt4 aWords = a[(sample * 32) + lane];
                UInt2 bWords = b[(sample * 32) + lane];
                uint[] aRegisters = [aWords.X, aWords.Y, aWords.Z, aWords.W];
                uint[] bRegisters = [bWords.X, bWords.Y];
                for (int i = 0; i < 8; i++)
                    left[PlaceInA(lane, i).Row, PlaceInA(lane, i).Column] = element(aRegisters[i / 2], i % 2);
                for (int i = 0; i < 4; i++)
                    right[PlaceInB(lane, i).Row, PlaceInB(lane, i).Column] = element(bRegisters[i / 2], i % 2);
            }

            for (int lane = 0; lane < 32; lane++)
            {
                int row = lane / 4;
                int column = lane % 4 * 2;
                Float4 addend = c[(sample * 32) + lane];
                Float4 result = results[(sample * 32) + lane];
                CheckOne(result.X, left, right, row, column, addend.X, sample);
                CheckOne(result.Y, left, right, row, column + 1, addend.Y, sample);
                CheckOne(result.Z, left, right, row + 8, column, addend.Z, sample);
                CheckOne(result.W, left, right, row + 8, column + 1, addend.W, sample);
            }
        }
    }

    // Fragments as the PTX manual numbers them: element i of a lane's 16-bit elements, in the order of its registers.
    private static (int Row, int Column) PlaceInA(int lane, int i) => ((lane / 4) + (i is 2 or 3 or 6 or 7 ? 8 : 0), (lane % 4 * 2) + (i & 1) + (i >= 4 ? 8 : 0));

    private static (int Row, int Column) PlaceInB(int lane, int i) => ((lane % 4 * 2) + (i & 1) + (i >= 2 ? 8 : 0), lane / 4);

    private void CheckOne(float actual, double[,] left, double[,] right, int row, int column, float addend, int sample)
    {
        double rough = addend;
        double magnitude = Math.Abs(addend);
        for (int k = 0; k < left.GetLength(1); k++)
        {
            rough += left[row, k] * right[k, column];
            magnitude += Math.Abs(left[row, k] * right[k, column]);
        }

        double expected = rough;
        if (double.IsFinite(rough))
        {
            Dyadic exact = Dyadic.From(addend);
            for (int k = 0; k < left.GetLength(1); k++)
                exact += Dyadic.From(left[row, k]) * Dyadic.From(right[k, column]);
            expected = exact.Round(BinaryFormat.F32);
        }

        if (!IsExact && !(magnitude < 1e30))
            return;                                     // where a GPU overflows on its way to the sum is its own affair

        // Each of up to 17 additions may drop what lies below the largest term's 23rd bit.
        bool holds = IsExact ? actual.Equals((float)expected) : Math.Abs(actual - expected) <= 17 * magnitude / (1 << 23);
        Assert.That(holds, $"sample {sample}, row {row}, column {column}: {actual:R} instead of {(float)expected:R}");
    }
}
