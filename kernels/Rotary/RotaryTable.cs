using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Cosine and sine of every position · theta^(−2i / rotaryDim), computed in double, with the frequencies and the factor of YaRN where
/// that is asked for. Two small tables joined by angle addition hold a quarter of a million positions, where one table would take seconds
/// and 64 MiB.
/// </summary>
internal sealed class RotaryTable
{
    public const int FinePositions = 512;

    private readonly float[] coarse;
    private readonly float[] fine;

    private RotaryTable(float[] coarse, float[] fine, int positions, int frequencies)
    {
        this.coarse = coarse;
        this.fine = fine;
        Positions = positions;
        Frequencies = frequencies;
    }

    public int Positions { get; }

    public int Frequencies { get; }

    public static RotaryTable Build(int positions, int rotaryDim, double theta, YarnScaling? yarn = null)
    {
        const string Op = "rotary_table";
        Require.That(Op, positions > 0, $"positions is {positions}, at least 1 is needed");
        Require.That(Op, rotaryDim > 0 && rotaryDim % 2 == 0, $"rotaryDim is {rotaryDim}, it must be even and positive");
        Require.That(Op, theta > 0 && double.IsFinite(theta), $"theta is {theta}, it must be positive and finite");
        Require.That(Op, yarn is null || theta > 1, $"theta is {theta}, with YaRN it must be above 1");
        double[] frequencies = [.. Enumerable.Range(0, rotaryDim / 2).Select(i => Math.Pow(theta, -2.0 * i / rotaryDim))];
        if (yarn is not null)
            frequencies = [.. frequencies.Zip(yarn.Slowdowns(rotaryDim, theta), static (frequency, slowdown) => frequency * slowdown)];
        int blocks = (int)(((long)positions + FinePositions - 1) / FinePositions);
        return new RotaryTable(
            Rotations(blocks, FinePositions, frequencies, yarn?.AttentionFactor ?? 1), Rotations(FinePositions, 1, frequencies, 1),
            positions, frequencies.Length);
    }

    /// <summary>Hands both tables to <paramref name="upload"/>, which must return views that start at multiples of 8 bytes.</summary>
    public RotaryView Upload(Func<float[], ArrayView<float>> upload) =>
        new(upload(coarse).Cast<Rotation>(), upload(fine).Cast<Rotation>(), Positions, Frequencies);

    // [rows, frequencies] pairs cos, sin of row · step · frequency, times the factor
    private static float[] Rotations(int rows, int step, double[] frequencies, double factor)
    {
        var values = new float[2 * rows * frequencies.Length];
        for (int i = 0; i < frequencies.Length; i++)
        {
            for (int row = 0; row < rows; row++)
            {
                (double sin, double cos) = Math.SinCos((double)row * step * frequencies[i]);
                values[2 * ((row * frequencies.Length) + i)] = (float)(factor * cos);
                values[(2 * ((row * frequencies.Length) + i)) + 1] = (float)(factor * sin);
            }
        }

        return values;
    }
}

/// <summary>
/// The rotary tables in device memory. coarse: [ceil(Positions / 512), Frequencies], fine: [512, Frequencies]; the rotation of a
/// position is the one of its multiple of 512, which carries YaRN's factor, followed by the one of the rest.
/// </summary>
internal readonly struct RotaryView(ArrayView<Rotation> coarse, ArrayView<Rotation> fine, int positions, int frequencies)
{
    /// <summary>Positions 0 to this − 1 are covered.</summary>
    public readonly int Positions = positions;

    /// <summary>Half of the rotated dimensions.</summary>
    public readonly int Frequencies = frequencies;

    /// <summary>Rotation by position · theta^(−frequency / Frequencies), or what YaRN makes of it.</summary>
    public Rotation At(int position, int frequency)
    {
        int block = (int)((uint)position / RotaryTable.FinePositions);
        int rest = position - (block * RotaryTable.FinePositions);
        return coarse[(block * Frequencies) + frequency].Then(fine[(rest * Frequencies) + frequency]);
    }
}

/// <summary>A turn of the plane by some angle, as its cosine and sine, which may be multiplied by a factor.</summary>
internal readonly struct Rotation(float cos, float sin)
{
    public readonly float Cos = cos;
    public readonly float Sin = sin;

    /// <summary>The turn by the sum of both angles.</summary>
    public Rotation Then(Rotation other) => new((Cos * other.Cos) - (Sin * other.Sin), (Sin * other.Cos) + (Cos * other.Sin));
}
