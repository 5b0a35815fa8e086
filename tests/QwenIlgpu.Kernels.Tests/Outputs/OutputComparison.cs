using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Outputs of two devices side by side, as a table with a row for each set of kernels.</summary>
internal sealed class OutputComparison
{
    private readonly SortedDictionary<string, Row> rows = new(StringComparer.Ordinal);

    /// <summary>Outputs that differ although nothing may differ.</summary>
    public int Wrong => rows.Values.Sum(r => r.Wrong);

    public void Add(string key, KeptOutput machine, KeptOutput other)
    {
        if (!rows.TryGetValue(machine.Kernels, out Row? row))
            rows.Add(machine.Kernels, row = new Row());
        row.Outputs++;
        if (machine.Hash == other.Hash)
        {
            row.Same++;
            return;
        }

        row.Wrong += machine.IsExact || machine.LengthBytes != other.LengthBytes ? 1 : 0;
        double worst = Worst(machine, other);
        if (worst >= row.Worst)
            (row.Worst, row.WorstKey) = (worst, key);
    }

    public override string ToString()
    {
        var text = new StringBuilder(
            """
            # A GPU beside the PTX machine

            Outputs of the kernel tests on both. Same: outputs with the same bits. Wrong: outputs that differ although their kernels compute
            nothing that a GPU may round otherwise (no `mma`, no approximation). Worst: of outputs of floats the largest difference over the
            largest number, of others the share of elements that differ, with its test. What differs is the machine's to mend, or a kernel's.

            | kernels | outputs | same | wrong | worst | where |
            |---|--:|--:|--:|--:|---|

            """);
        foreach ((string kernels, Row row) in rows.OrderByDescending(r => r.Value.Wrong).ThenByDescending(r => r.Value.Worst))
            text.Append(CultureInfo.InvariantCulture, $"| {kernels} | {row.Outputs} | {row.Same} | {row.Wrong} | {row.Worst:E1} | {row.WorstKey?.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
        int outputs = rows.Values.Sum(r => r.Outputs);
        text.Append(CultureInfo.InvariantCulture, $"| **all** | {outputs} | {rows.Values.Sum(r => r.Same)} | {Wrong} | | |\n");
        return text.ToString();
    }

    private static double Worst(KeptOutput a, KeptOutput b)
    {
        if (a.LengthBytes != b.LengthBytes)
            return double.PositiveInfinity;
        if (a.Element is not ("Single" or "Float4"))
            return (double)a.Beginning.Zip(b.Beginning, (x, y) => x == y ? 0 : 1).Sum() / a.Beginning.Length;
        ReadOnlySpan<float> x = MemoryMarshal.Cast<byte, float>(a.Beginning);
        ReadOnlySpan<float> y = MemoryMarshal.Cast<byte, float>(b.Beginning);
        double scale = 0;
        double worst = 0;
        for (int i = 0; i < x.Length; i++)
        {
            if (float.IsFinite(x[i]))
                scale = Math.Max(scale, Math.Abs(x[i]));
            double difference = x[i].Equals(y[i]) ? 0 : Math.Abs((double)x[i] - y[i]);
            worst = Math.Max(worst, double.IsNaN(difference) ? double.PositiveInfinity : difference);
        }

        return scale == 0 ? worst : worst / scale;
    }

    private sealed class Row
    {
        public int Outputs { get; set; }

        public int Same { get; set; }

        public int Wrong { get; set; }

        public double Worst { get; set; }

        public string? WorstKey { get; set; }
    }
}
