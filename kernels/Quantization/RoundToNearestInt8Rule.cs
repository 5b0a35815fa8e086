namespace QwenIlgpu.Kernels;

/// <summary>
/// scale = max|w| / 127, rounded to the scale's 16-bit type; code = clamp(round(w / scale), −127, 127), ties to even. A scale rounded
/// down puts max|w| at 127.25 steps at most (bf16 rounds to 2^-9), so that no weight is off by more than half a step of the scale as
/// stored (but for scales below or beyond f16's normal range). Only IEEE operations, so host and every device agree in bits.
/// </summary>
internal static class RoundToNearestInt8Rule
{
    private const float LargestF16 = 65504;

    public static float Scale(float largest)
    {
        float scale = largest / 127f;
        return scale > LargestF16 ? LargestF16 : scale;
    }

    /// <summary>The code −127 … 127 of a weight. A group of zeros, or of weights below the scale's range, gets scale and code 0.</summary>
    public static int Code(float weight, float scale)
    {
        if (scale == 0)
            return 0;
        float steps = weight / scale;
        if (!(steps > -127))
            return -127;
        if (steps > 127)
            return 127;

        // Adding and subtracting 1.5 · 2^23 rounds to an integer, ties to even.
        return (int)(steps + 12582912f - 12582912f);
    }
}
