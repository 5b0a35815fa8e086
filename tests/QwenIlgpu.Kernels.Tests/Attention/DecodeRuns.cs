using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Runs of decode attention over pages of two formats, and how far they are off.</summary>
internal static class DecodeRuns<TKeys, TValues>
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    // Two bf16 hold a query or a weight to 2^-16 of itself and better. A weight is off by the error of its score, that share of
    // Σ|q·k| / sqrt(Hd), in the numerator and in the denominator, and by its own rounding; those of float vanish beside it. Turned errors
    // are spread over a head's dimensions: hundreds of them never all have one sign.
    public const double Unit = 1.0 / (1 << 16);

    public static double Allowed => TValues.IsQuantized ? 0.5 : 2;

    /// <summary>One row of a sequence: how far it is off.</summary>
    public static double RunOnce(TestDevice device, int heads, int kvHeads, int headDim, int length)
    {
        PagedSequences<TKeys, TValues> paged = Filled(device, heads, kvHeads, headDim, [length]);
        return Deviation(device, paged, heads, headDim, Queries(1, heads, headDim), (0, length - 1));
    }

    /// <summary>
    /// The largest error in units of (1 + Σ|q·k| / sqrt(Hd)) · Σ|weight · value| · 2^-16; infinite where an output is NaN.
    /// </summary>
    public static double Deviation(
        TestDevice device, PagedSequences<TKeys, TValues> paged, int heads, int headDim, float[] q, params (int, int)[] rows) =>
        Deviation(Attend(device, paged, heads, headDim, q, rows), paged, headDim, q, rows);

    /// <summary>The same of outputs that are there.</summary>
    public static double Deviation(
        float[] y, PagedSequences<TKeys, TValues> paged, int headDim, float[] q, params (int, int)[] rows)
    {
        double[] expected = paged.Reference(q, rows);
        double[] magnitude = paged.Magnitude(q, rows);
        if (TValues.IsQuantized)
            Spread(magnitude, headDim, q);
        double[] scores = paged.ScoreMagnitude(q, rows);
        double worst = 0;
        for (int i = 0; i < y.Length; i++)
            worst = Worse(worst, Math.Abs(y[i] - expected[i]) / (Unit * (1 + scores[i / headDim]) * magnitude[i]));
        return worst;
    }

    public static double Worse(double worst, double deviation) =>
        Math.Max(worst, double.IsNaN(deviation) ? double.PositiveInfinity : deviation);

    public static float[] Attend(
        TestDevice device, PagedSequences<TKeys, TValues> paged, int heads, int headDim, float[] q,
        params (int Sequence, int Position)[] rows) => Attend(
            device, paged.Pages, paged.PageTable, heads, headDim, q,
            Array.ConvertAll(rows, r => r.Sequence + 1), Array.ConvertAll(rows, r => r.Position));

    public static float[] Attend(
        TestDevice device, KvPages<TKeys, TValues> pages, Matrix<int> table, int heads, int headDim, float[] q, int[] slots, int[] positions)
    {
        Matrix<float> y = device.Poisoned<float>(slots.Length, heads * headDim);
        ArrayView<int> tickets = device.Upload(new int[DecodeAttention.Tickets(slots.Length, pages.KvHeads)]);
        var rows = new PagedRows(device.Upload(slots), device.Upload(positions), table);
        device.Run(Bind(device, pages, rows, heads, headDim, q, tickets, y));
        return device.Download(y);
    }

    public static Launch Bind(
        TestDevice device, KvPages<TKeys, TValues> pages, PagedRows rows, int heads, int headDim, float[] q, ArrayView<int> tickets, Matrix<float> y)
    {
        (int scratchRows, int columns) = DecodeAttention.ScratchShape(y.Rows, heads, headDim, rows.PageTable.Columns);
        Matrix<float> queries = device.Upload(q, y.Rows, heads * 2 * headDim);
        Matrix<float> scratch = device.Poisoned<float>(scratchRows, columns);
        return DecodeAttention.Bind(device.Loader, queries, pages, rows, heads, scratch, tickets, y);
    }

    public static PagedSequences<TKeys, TValues> Filled(TestDevice device, int heads, int kvHeads, int headDim, int[] lengths)
    {
        int width = kvHeads * headDim;
        var paged = new PagedSequences<TKeys, TValues>(
            device, heads, kvHeads, headDim,
            [.. lengths.Select((n, s) => (Seeded.Floats((n * headDim) + s, n * width), Seeded.Floats(s - (n * headDim), n * width)))],
            seed: heads + headDim);
        paged.Append([.. lengths.SelectMany((n, s) => PagedSequences<TKeys, TValues>.Rows(s, 0, n))]);
        return paged;
    }

    // Scores have a standard deviation of about 2: neither even nor all on one key.
    public static float[] Queries(int rows, int heads, int headDim) =>
        Seeded.Floats(rows + heads + headDim, rows * heads * 2 * headDim, 6);

    public static float[] Row(float[] values, int row, int rows) =>
        values[(row * (values.Length / rows))..((row + 1) * (values.Length / rows))];

    // The turn gives each dimension a share of the errors of all: before the gate they have the same magnitude.
    private static void Spread(double[] magnitude, int headDim, float[] q)
    {
        for (int head = 0; head < magnitude.Length / headDim; head++)
        {
            double[] gates =
                [.. q.AsSpan(((2 * head) + 1) * headDim, headDim).ToArray().Select(gate => 1 / (1 + Math.Exp(-gate)))];
            double mean = Enumerable.Range(0, headDim).Average(d => magnitude[(head * headDim) + d] / gates[d]);
            for (int d = 0; d < headDim; d++)
                magnitude[(head * headDim) + d] = mean * gates[d];
        }
    }
}
