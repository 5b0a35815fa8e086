using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>The gates of one row and head, wherever they are computed.</summary>
internal static class DeltaGate
{
    /// <summary>σ(b).</summary>
    public static float Beta(float b) => 1 / (1 + XMath.Exp(-b));

    /// <summary>g = −exp(aLog) · softplus(a + dtBias), never positive.</summary>
    public static float LogDecay(float a, float aLog, float dtBias) => -XMath.Exp(aLog) * Softplus(a + dtBias);

    // ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^−|x| ≤ 1; ln(1 + e) = 2 atanh(s), s = e / (2 + e) ≤ 1/3, whose series keeps the
    // relative precision of a small e. Seven terms leave (1/9)^7 / 15 = 1.4e-8.
    private static float Softplus(float x)
    {
        float e = XMath.Exp(-XMath.Abs(x));
        float s = e / (2 + e);
        float s2 = s * s;
        float series = 1 + (s2 * ((1f / 3) + (s2 * ((1f / 5) + (s2 * ((1f / 7) + (s2 * ((1f / 9) + (s2 * ((1f / 11) + (s2 / 13)))))))))));
        return XMath.Max(x, 0) + (2 * s * series);
    }
}
