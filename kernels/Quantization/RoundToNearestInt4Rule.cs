namespace QwenIlgpu.Kernels;

/// <summary>
/// scale = max|w| / 7.5, rounded to the scale's 16-bit type; code = 8 + clamp(round(w / scale), −8, 7), ties to even. With 7.5 the
/// sixteen codes' cells tile [−8.5, 7.5] · scale and max|w| falls on the upper end, so no weight of either sign is off by more than
/// half a step (but for the scale's own rounding), the least that a symmetric scale allows: max|w| / 7 has the same bound with larger
/// steps, max|w| / 8 is off by a whole step at +max|w|. Only IEEE operations, so host and every device agree in bits.
/// </summary>
internal static class RoundToNearestInt4Rule
{
    private const float LargestF16 = 65504;

    public static float Scale(float largest)
    {
        float scale = largest / 7.5f;
        return scale > LargestF16 ? LargestF16 : scale;
    }

    /// <summary>The stored code 0 … 15 of a weight. A group of zeros, or of weights below the scale's range, gets scale 0 and code 8.</summary>
    public static uint Code(float weight, float scale)
    {
        if (scale == 0)
            return Int4Layout.Zero;
        float steps = weight / scale;
        if (!(steps > -8))
            return 0;
        if (steps > 7)
            return 15;

        // Adding and subtracting 1.5 · 2^23 rounds to an integer, ties to even.
        return (uint)((int)(steps + 12582912f - 12582912f) + Int4Layout.Zero);
    }
}
