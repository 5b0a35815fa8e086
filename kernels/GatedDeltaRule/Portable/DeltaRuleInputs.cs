namespace QwenIlgpu.Kernels;

/// <summary>
/// What the rule reads of each row. Qkv: [T, 2 · Hk · Dk + Hv · Dv], blocks q | k | v, q and k normalised; Beta, G: [T, Hv].
/// </summary>
internal readonly record struct DeltaRuleInputs(Matrix<float> Qkv, Matrix<float> Beta, Matrix<float> G);

/// <summary>The same as kernels take it, q | k | v in words of four.</summary>
internal readonly struct DeltaRuleWords(string op, DeltaRuleInputs inputs)
{
    public readonly Matrix<Float4> Qkv = Float4.Words(op, "qkv", inputs.Qkv);
    public readonly Matrix<float> Beta = inputs.Beta;
    public readonly Matrix<float> G = inputs.G;
}
