namespace QwenIlgpu.Kernels;

/// <summary>A turn of the plane by some angle, as its cosine and sine.</summary>
internal readonly struct Rotation(float cos, float sin)
{
    public readonly float Cos = cos;
    public readonly float Sin = sin;

    /// <summary>The turn by the sum of both angles.</summary>
    public Rotation Then(Rotation other) => new((Cos * other.Cos) - (Sin * other.Sin), (Sin * other.Cos) + (Cos * other.Sin));
}
