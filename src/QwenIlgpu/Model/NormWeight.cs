using ILGPU;

namespace QwenIlgpu;

/// <summary>Weight of a zero-centred RMSNorm, [D] float on the device, and its eps.</summary>
internal sealed record NormWeight(ArrayView<float> Values, float Eps)
{
    public long SizeBytes => Values.Length * sizeof(float);
}
