using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>Weights as floats, row by row, are what their packings stand for.</summary>
internal sealed class ExpandedRowsTests
{
    private const int Rows = 24;
    private const int Columns = 160;
    private const int GroupSize = 64;
    private const int Groups = 3;

    [Test]
    public void RowsOfIntegersAreThoseOfTheirPacking(
        [Values] Int4Packing packing, [Values(true, false)] bool hasZeros)
    {
        Int4SourceReference reference = packing switch
        {
            Int4Packing.GptqV1 => Int4SourceReference.GptqV1,
            Int4Packing.GptqV2 => Int4SourceReference.GptqV2,
            Int4Packing.Awq => Int4SourceReference.Awq,
            _ => Int4SourceReference.CompressedTensors,
        };
        var random = new Random(17 + (int)packing);
        int[] Words(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(int.MinValue, int.MaxValue))];
        ushort[] scales = [.. Enumerable.Range(0, Rows * Groups).Select(_ => BitConverter.HalfToUInt16Bits((Half)((random.NextDouble() * 0.02) - 0.01)))];
        var source = new Int4Source(Words(Rows * Columns / 8), scales, hasZeros ? Words(Rows / 8 * Groups) : []);
        double[] expected = reference.Weights(source, WeightType.F16, Rows, Columns, GroupSize);

        var expanded = new ExpandedInt4Rows(
            packing, Rows, Columns, source.Words, [.. scales.Select(s => (float)BitConverter.UInt16BitsToHalf(s))], hasZeros ? source.Zeros : null,
            [.. Enumerable.Range(0, Columns).Select(k => k / GroupSize)]);

        // A scale of eleven bits times an integer of five is a float.
        Assert.That(All(expanded, Rows, Columns), Is.EqualTo(expected));
    }

    // W = scale[g_idx[k]] · (code − zero[g_idx[k]]): codes 0 … 7, zero points 1 and 2, scales 10 and 100.
    [Test]
    public void AnInputMayBeInAnyGroup()
    {
        var expanded = new ExpandedInt4Rows(
            Int4Packing.GptqV2, 8, 8, [.. Enumerable.Repeat(0x76543210, 8)], [.. Enumerable.Repeat(10f, 8), .. Enumerable.Repeat(100f, 8)],
            [0x11111111, 0x22222222], [1, 0, 0, 1, 0, 1, 1, 0]);
        Assert.That(All(expanded, 8, 8)[..8], Is.EqualTo(new double[] { -200, 0, 10, 100, 30, 300, 400, 60 }));
    }

    [Test]
    public void RowsOfPowersOfTwoAreExactWhateverTheyAre()
    {
        byte[] codes = [.. Enumerable.Repeat<byte[]>([0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe], 8).SelectMany(b => b)];
        double[] values = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];
        byte[] exponents = [1, 127, 250, 100];
        double[] weights = All(new ExpandedMxRows(64, codes, exponents), 2, 64);
        for (int i = 0; i < weights.Length; i++)
            Assert.That(weights[i], Is.EqualTo(values[i % 16] * Math.Pow(2, exponents[i / 32] - 127)));
    }

    private static double[] All(ExpandedRows expanded, int rows, int columns)
    {
        var weights = new List<double>();
        for (int row = 0; row < rows; row++)
        {
            float[] values = [.. Enumerable.Repeat(float.NaN, columns)];
            expanded.Fill(row, values);
            weights.AddRange(values.Select(v => (double)v));
        }

        return [.. weights];
    }
}
