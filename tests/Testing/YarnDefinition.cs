namespace QwenIlgpu.Testing;

/// <summary>
/// YaRN from its definition, in double and without the formulas that solve it: a pair's place on the ramp is found by bisection of how
/// often pairs turn within the original context.
/// </summary>
internal static class YarnDefinition
{
    /// <summary>Radians a position of pair <paramref name="i"/>.</summary>
    public static double Frequency(
        int i, int rotaryDim, double theta, double factor, int original, double betaFast = 32, double betaSlow = 1, bool whole = true)
    {
        double plain = Math.Pow(theta, -2.0 * i / rotaryDim);
        double first = IndexThatTurns(betaFast, rotaryDim, theta, original);
        double last = IndexThatTurns(betaSlow, rotaryDim, theta, original);
        if (whole)
            (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, rotaryDim - 1));
        double interpolated = first == last ? (i > first ? 1 : 0) : Math.Clamp((i - first) / (last - first), 0, 1);
        return (interpolated * plain / factor) + ((1 - interpolated) * plain);
    }

    private static double IndexThatTurns(double turns, int rotaryDim, double theta, int original)
    {
        (double often, double seldom) = (-10_000.0, 10_000.0);
        for (int step = 0; step < 200; step++)
        {
            double middle = (often + seldom) / 2;
            double itsTurns = original * Math.Pow(theta, -2 * middle / rotaryDim) / (2 * Math.PI);
            if (itsTurns > turns)
                often = middle;
            else
                seldom = middle;
        }

        return often;
    }
}
