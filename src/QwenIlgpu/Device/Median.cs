namespace QwenIlgpu;

/// <summary>The middle of measured values, or the mean of the two in the middle.</summary>
internal static class Median
{
    /// <summary>Of at least one value, in any order.</summary>
    public static double Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
