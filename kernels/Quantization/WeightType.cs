namespace QwenIlgpu.Kernels;

/// <summary>How a plain weight, or a quantised weight's scale, is stored.</summary>
internal enum WeightType
{
    F32,
    F16,
    Bf16,
}
