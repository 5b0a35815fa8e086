namespace QwenIlgpu.Kernels;

/// <summary>The largest magnitude among weights, by comparisons alone.</summary>
internal static class Magnitude
{
    public static float Larger(float largest, Float4 values)
    {
        largest = Larger(largest, values.X);
        largest = Larger(largest, values.Y);
        largest = Larger(largest, values.Z);
        return Larger(largest, values.W);
    }

    private static float Larger(float largest, float value)
    {
        float magnitude = value < 0 ? -value : value;
        return magnitude > largest ? magnitude : largest;
    }
}
