using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class QkNormRotaryTests(PortableTier tier) : PortableTests(tier)
{
    private const float Eps = 1e-6f;
    private const double Theta = 1e7;

    // Values reach 7: x / rms below 2, weight + 1 below 2, a pair's sum √2 of that. Their float rounding is some 2^-22 in all.
    private const double Tolerance = 3e-6;

    private static RotaryView Rotary(int rotaryDim) => RotaryTable.Build(262144, rotaryDim, Theta).Upload(Device.Upload);

    [TestCase(1, 1, 1, 4, 2)]
    [TestCase(3, 2, 1, 48, 12)]
    [TestCase(5, 3, 3, 20, 20)]
    [TestCase(7, 6, 2, 64, 16)]
    [TestCase(3, 24, 4, 256, 64)]
    public void MatchesReference(int rows, int heads, int kvHeads, int headDim, int rotaryDim)
    {
        float[] q = Seeded.Floats(rows + headDim, rows * heads * 2 * headDim, 2);
        float[] k = Seeded.Floats(rows - headDim, rows * kvHeads * headDim, 3);
        float[] qNorm = Seeded.Floats(headDim, headDim);
        float[] kNorm = Seeded.Floats(-headDim, headDim);
        int[] positions = [.. Enumerable.Range(0, rows).Select(row => row == 1 ? 262143 : row * 7919)];
        Matrix<float> qOnDevice = Device.Upload(q, rows, heads * 2 * headDim);
        Matrix<float> kOnDevice = Device.Upload(k, rows, kvHeads * headDim);

        Device.Run(QkNormRotary.Bind(
            Device.Loader, qOnDevice, kOnDevice, heads, kvHeads, headDim,
            new QkNormWeights(Device.Upload(qNorm), Device.Upload(kNorm), Rotary(rotaryDim), Eps), Device.Upload(positions)));

        float[] turnedQ = Device.Download(qOnDevice);
        AssertClose(
            turnedQ, QkNormRotaryReference.Run(Seeded.ToDouble(q), 2 * headDim, headDim, Seeded.ToDouble(qNorm), positions, rotaryDim, Theta, Eps), Tolerance);
        AssertClose(
            Device.Download(kOnDevice),
            QkNormRotaryReference.Run(Seeded.ToDouble(k), headDim, headDim, Seeded.ToDouble(kNorm), positions, rotaryDim, Theta, Eps),
            Tolerance);
        Assert.That(Gates(turnedQ), Is.EqualTo(Gates(q)), "gates stay as they are, bit for bit");

        float[] Gates(float[] values) => [.. values.Where((_, i) => i / headDim % 2 == 1)];
    }

    [Test]
    public void KeepsRowsApart()
    {
        const int HeadDim = 64;
        float[] q = Seeded.Floats(1, 5 * 2 * HeadDim);
        float[] k = Seeded.Floats(2, 5 * HeadDim);
        int[] positions = [9, 0, 700, 4, 5000];

        (float[] allQ, float[] allK) = Run(q, k, positions);

        for (int row = 0; row < 5; row++)
        {
            (float[] oneQ, float[] oneK) = Run(
                q[(row * 2 * HeadDim)..((row + 1) * 2 * HeadDim)], k[(row * HeadDim)..((row + 1) * HeadDim)], [positions[row]]);
            Assert.That(oneQ, Is.EqualTo(allQ[(row * 2 * HeadDim)..((row + 1) * 2 * HeadDim)]));
            Assert.That(oneK, Is.EqualTo(allK[(row * HeadDim)..((row + 1) * HeadDim)]));
        }

        static (float[] Q, float[] K) Run(float[] q, float[] k, int[] positions)
        {
            Matrix<float> qOnDevice = Device.Upload(q, positions.Length, 2 * HeadDim);
            Matrix<float> kOnDevice = Device.Upload(k, positions.Length, HeadDim);
            ArrayView<float> weight = Device.Upload(Seeded.Floats(3, HeadDim));
            Device.Run(QkNormRotary.Bind(
                Device.Loader, qOnDevice, kOnDevice, 1, 1, HeadDim, new QkNormWeights(weight, weight, Rotary(16), Eps), Device.Upload(positions)));
            return (Device.Download(qOnDevice), Device.Download(kOnDevice));
        }
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void GivesPartsTheBitsOfTheWhole(int rows)
    {
        const int HeadDim = 64;
        Matrix<float> q = default;
        Matrix<float> k = default;

        float[] together = RunInParts<float>(
            () =>
            {
                q = Device.Upload(Seeded.Floats(1, rows * 3 * 2 * HeadDim), rows, 3 * 2 * HeadDim);
                k = Device.Upload(Seeded.Floats(2, rows * HeadDim), rows, HeadDim);
                ArrayView<float> weight = Device.Upload(Seeded.Floats(3, HeadDim));
                ArrayView<int> positions = Device.Upload([.. Enumerable.Range(0, rows).Select(row => row * 7919)]);
                return [QkNormRotary.Bind(Device.Loader, q, k, 3, 1, HeadDim, new QkNormWeights(weight, weight, Rotary(40), Eps), positions)];
            },
            () => [.. Device.Download(q), .. Device.Download(k)]);

        Assert.That(together, Has.None.NaN);
    }

    // What a share would give that turns the wrong pairs, or by the position of the row before.
    [Test]
    public void NoticesAWrongPositionAndAWrongPair()
    {
        const int HeadDim = 64;
        float[] q = Seeded.Floats(1, 2 * HeadDim);
        float[] norm = Seeded.Floats(3, HeadDim);
        double[] expected = QkNormRotaryReference.Run(Seeded.ToDouble(q), 2 * HeadDim, HeadDim, Seeded.ToDouble(norm), [4], 16, Theta, Eps);

        foreach ((int position, int rotaryDim) in new[] { (3, 16), (4, 32) })
        {
            Matrix<float> x = Device.Upload(q, 1, 2 * HeadDim);
            ArrayView<float> weight = Device.Upload(norm);
            Device.Run(QkNormRotary.Bind(
                Device.Loader, x, Device.Upload(Seeded.Floats(2, HeadDim), 1, HeadDim), 1, 1, HeadDim,
                new QkNormWeights(weight, weight, Rotary(rotaryDim), Eps), Device.Upload(position)));
            Assert.That(Device.Download(x).Zip(expected, (a, e) => Math.Abs(a - e)).Max(), Is.GreaterThan(100 * Tolerance));
        }
    }

    [TestCase(2 * 2 * 8, 8, 8, 8, 4, "qk_norm_rotary: columns of q is 32, heads · 2 · head size is 16")]
    [TestCase(2 * 8, 12, 8, 8, 4, "qk_norm_rotary: columns of k is 12, key heads · head size is 8")]
    [TestCase(2 * 8, 8, 4, 8, 4, "qk_norm_rotary: length of qNorm is 4, head size is 8")]
    [TestCase(2 * 6, 6, 6, 6, 4, "qk_norm_rotary: 1 query heads and 1 key heads of 6: heads must be positive, head size a multiple of 4")]
    [TestCase(2 * 8, 8, 8, 8, 12, "qk_norm_rotary: the rotary table turns 12 dimensions, of at most the head size 8")]
    public void RejectsOperandsThatDoNotFit(int qColumns, int kColumns, int weights, int headDim, int rotaryDim, string message)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => QkNormRotary.Bind(
            Device.Loader, Device.Poisoned<float>(2, qColumns), Device.Poisoned<float>(2, kColumns), 1, 1, headDim,
            new QkNormWeights(Device.Poisoned<float>(weights), Device.Poisoned<float>(weights), Rotary(rotaryDim), Eps), Device.Poisoned<int>(2)))!;

        Assert.That(error.Message, Is.EqualTo(message));
    }

    [Test]
    public void RejectsPositionsOfAnotherLength()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => QkNormRotary.Bind(
            Device.Loader, Device.Poisoned<float>(2, 16), Device.Poisoned<float>(2, 8), 1, 1, 8,
            new QkNormWeights(Device.Poisoned<float>(8), Device.Poisoned<float>(8), Rotary(4), Eps), Device.Poisoned<int>(3)))!;

        Assert.That(error.Message, Is.EqualTo("qk_norm_rotary: length of positions is 3, rows of q is 2"));
    }
}
