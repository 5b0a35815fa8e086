namespace QwenIlgpu.Testing;

/// <summary>How far a kernel's output is from its reference. NaN, an element that nobody wrote, is infinitely far.</summary>
internal readonly record struct Difference(double Worst, int Index)
{
    /// <summary>The largest |actual − expected|, and where it is.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static Difference Of(float[] actual, double[] expected)
    {
        if (actual.Length != expected.Length)
            throw new ArgumentException($"{actual.Length} elements are compared with {expected.Length}");
        var worst = new Difference(0, -1);
        for (int i = 0; i < actual.Length; i++)
        {
            double difference = Math.Abs(actual[i] - expected[i]);
            if (!(difference <= worst.Worst))
                worst = new(double.IsNaN(difference) ? double.PositiveInfinity : difference, i);
        }

        return worst;
    }

    /// <summary>The largest |actual − expected| over the largest |expected|.</summary>
    public static double Relative(float[] actual, double[] expected)
    {
        double scale = 0;
        foreach (double value in expected)
            scale = Math.Max(scale, Math.Abs(value));
        return Of(actual, expected).Worst / scale;
    }
}
