namespace QwenIlgpu.Testing;

/// <summary>Inputs that are the same in every run; the seed should differ per shape.</summary>
internal static class Seeded
{
    /// <summary>Uniform in [−scale, scale).</summary>
    public static float[] Floats(int seed, long length, float scale = 1)
    {
        var random = new Random(seed);
        var values = new float[length];
        for (int i = 0; i < values.Length; i++)
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        return values;
    }

    /// <summary>The same numbers for a reference in double precision.</summary>
    public static double[] ToDouble(float[] values) => Array.ConvertAll(values, v => (double)v);
}
