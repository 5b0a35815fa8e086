using System.Globalization;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What a prefill matmul is but for its tokens: format and K of the weights, and the rows of each projection, of SwiGLU's pair both.
/// </summary>
internal sealed record PrefillShape(PrefillFormat Format, int K, int[] Rows, bool SwiGlu)
{
    public static PrefillShape Of(ReadOnlySpan<WeightMatrix> weights, bool swiGlu)
    {
        WeightMatrix first = weights[0];
        PrefillFormat format = first.Format switch
        {
            WeightFormat.Dense => PrefillFormat.Dense,
            WeightFormat.Int8 => PrefillFormat.Int8,
            WeightFormat.Fp4 => PrefillFormat.Fp4,
            WeightFormat.Fp8 => PrefillFormat.Fp8,
            _ => first.HasHalfTileGroups ? PrefillFormat.Int4Half : PrefillFormat.Int4,
        };
        var rows = new int[weights.Length];
        for (int i = 0; i < rows.Length; i++)
            rows[i] = weights[i].Rows;
        return new PrefillShape(format, first.Columns, rows, swiGlu);
    }

    public bool Equals(PrefillShape? other) =>
        other is not null && (Format, K, SwiGlu) == (other.Format, other.K, other.SwiGlu) && Rows.AsSpan().SequenceEqual(other.Rows);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(Format);
        hash.Add(K);
        foreach (int rows in Rows)
            hash.Add(rows);
        return hash.ToHashCode();
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{PrefillFormats.NameOf(Format)} [{string.Join(" | ", Rows)}, {K}]{(SwiGlu ? " SwiGLU" : "")}");
}

/// <summary>Formats of weights that differ in what a tile of theirs costs.</summary>
internal enum PrefillFormat
{
    Int4,
    Int4Half,
    Int8,
    Fp4,
    Fp8,
    Dense,
}

/// <summary>Names of the formats in tables.</summary>
internal static class PrefillFormats
{
    public static string NameOf(PrefillFormat format) => format switch
    {
        PrefillFormat.Int4 => "int4",
        PrefillFormat.Int4Half => "int4-32",
        PrefillFormat.Int8 => "int8",
        PrefillFormat.Fp4 => "fp4",
        PrefillFormat.Fp8 => "fp8",
        _ => "16-bit",
    };

    /// <summary>Null where no format is called so.</summary>
    public static PrefillFormat? Named(string? name)
    {
        foreach (PrefillFormat format in Enum.GetValues<PrefillFormat>())
        {
            if (NameOf(format) == name)
                return format;
        }

        return null;
    }

    /// <summary>Bytes of a weight with its share of a scale: one of 16 bits for 128 INT4, for 32, and for 128 INT8; a byte for 16 FP4; one of 32 bits for 128 FP8.</summary>
    public static double BytesOf(PrefillFormat format) => format switch
    {
        PrefillFormat.Int4 => 0.5 + (2.0 / 128),
        PrefillFormat.Int4Half => 0.5 + (2.0 / 32),
        PrefillFormat.Int8 => 1 + (2.0 / 128),
        PrefillFormat.Fp4 => 0.5 + (1.0 / 16),
        PrefillFormat.Fp8 => 1 + (4.0 / 128),
        _ => 2,
    };
}
