using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Norm, rotation and append in one launch equal the three on their own: a warp a head, on PoCL or on a GPU.</summary>
[NonParallelizable]
[TestFixture(typeof(float), typeof(F32Format))]
[TestFixture(typeof(ushort), typeof(Bf16Format))]
internal sealed class QkNormRotaryAppendTests<TStorage, TFormat>
    where TStorage : unmanaged
    where TFormat : struct, INumberFormat<TStorage>
{
    private const float Eps = 1e-6f;
    private const double Theta = 1e7;

    // As for the portable kernel: values reach 7, their float rounding is some 2^-22 in all; a stored key adds its page's own rounding.
    private static readonly double Tolerance = 3e-6;
    private static readonly double KeyTolerance = typeof(TStorage) == typeof(float) ? 3e-6 : 7.0 / 256;

    private static TestDevice Device => WarpDevice.Named(TestDevice.Kind == "cuda" ? "cuda" : "pocl");

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 1, 48, 12)]
    [TestCase(6, 2, 64, 16)]
    [TestCase(24, 4, 256, 64)]
    [TestCase(3, 3, 20, 20)]
    public void MatchesReference(int heads, int kvHeads, int headDim, int rotaryDim)
    {
        int width = kvHeads * headDim;
        (float[] K, float[] V)[] sequences =
            [.. new[] { 65, 1, 130 }.Select((l, s) => (KernelTests.RandomFloats(width + s, l * width, 3), KernelTests.RandomFloats(-width - s, l * width)))];
        (int Sequence, int Position)[] rows = [(0, 64), (1, 0), (2, 128), (2, 129)];
        float[] q = KernelTests.RandomFloats(headDim + heads, rows.Length * heads * 2 * headDim, 2);
        float[] qNorm = KernelTests.RandomFloats(headDim, headDim);
        float[] kNorm = KernelTests.RandomFloats(-headDim, headDim);
        int[] positions = [.. rows.Select(r => r.Position)];
        var paged = new PagedSequences<TStorage, TFormat>(Device, heads, kvHeads, headDim, sequences, seed: width);
        RotaryView rotary = RotaryTable.Build(262144, rotaryDim, Theta).Upload(Device.Upload);

        float[] turned = paged.NormTurnAppend(q, Device.Upload(qNorm), Device.Upload(kNorm), rotary, Eps, rows);

        double[] expected = QkNormRotaryReference.Run(
            Array.ConvertAll(q, x => (double)x), 2 * headDim, headDim, Array.ConvertAll(qNorm, x => (double)x), positions, rotaryDim, Theta, Eps);
        Assert.That(turned.Zip(expected, (a, e) => Math.Abs(a - e)).Max(), Is.LessThanOrEqualTo(Tolerance));
        double[] k = [.. rows.SelectMany(r => sequences[r.Sequence].K.Skip(r.Position * width).Take(width)).Select(x => (double)x)];
        double[] expectedKeys = QkNormRotaryReference.Run(
            k, headDim, headDim, Array.ConvertAll(kNorm, x => (double)x), positions, rotaryDim, Theta, Eps);
        AssertPages(paged, sequences, rows, expectedKeys, kvHeads, headDim);
    }

    // Every element of every page: what was appended is there, everything else as poisoned as before.
    private static void AssertPages(
        PagedSequences<TStorage, TFormat> paged, (float[] K, float[] V)[] sequences, (int Sequence, int Position)[] rows,
        double[] expectedKeys, int kvHeads, int headDim)
    {
        int width = kvHeads * headDim;
        TStorage[] keys = paged.Keys;
        TStorage[] values = paged.Values;
        var written = new HashSet<int>();
        for (int row = 0; row < rows.Length; row++)
        {
            (int sequence, int position) = rows[row];
            int page = paged.Table[sequence + 1, position / KvCache.PageTokens];
            for (int i = 0; i < width; i++)
            {
                int at = (((((page * kvHeads) + (i / headDim)) * KvCache.PageTokens) + (position % KvCache.PageTokens)) * headDim) + (i % headDim);
                written.Add(at);
                Assert.That(TFormat.Load(keys[at]), Is.EqualTo(expectedKeys[(row * width) + i]).Within(KeyTolerance), $"key {row}, {i}");
                Assert.That(values[at], Is.EqualTo(TFormat.Store(sequences[sequence].V[(position * width) + i])), $"value {row}, {i}");
            }
        }

        for (int at = 0; at < keys.Length; at++)
        {
            if (!written.Contains(at))
                Assert.That(float.IsNaN(TFormat.Load(keys[at])) && float.IsNaN(TFormat.Load(values[at])), $"element {at} was written");
        }
    }
}
