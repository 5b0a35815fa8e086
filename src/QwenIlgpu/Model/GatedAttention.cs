using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Gated full attention (`self_attn`): q|gate per head, k, v; q/k norm and partial rotary; causal attention over the pages; the
/// output times σ(gate) goes through o_proj.
/// </summary>
internal sealed record GatedAttention(
    LinearWeight QProj, LinearWeight KProj, LinearWeight VProj, LinearWeight OProj,
    ArrayView<float> QNorm, ArrayView<float> KNorm, AttentionShape Heads, RotaryView Rotary, float Eps) : IMixer
{
    public const string ModuleName = "self_attn";

    public string Name => ModuleName;

    public long MatrixBytes => QProj.SizeBytes + KProj.SizeBytes + VProj.SizeBytes + OProj.SizeBytes;

    public ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer)
    {
        LayerPages pages = state.AttentionLayers[layer]!;
        Tensor[] qkv = ops.Linears(x, QProj, KProj, VProj);
        (Tensor q, Tensor k, Tensor v) = (qkv[0], qkv[1], qkv[2]);          // [T, H·2·Hd], [T, Hkv·Hd] twice
        ops.QkNormRotaryAppend(q, k, v, pages, state, Heads, QNorm, KNorm, Rotary, Eps);
        return ops.AddLinear(hidden, ops.GatedAttention(q, pages, state, Heads), OProj);
    }
}
