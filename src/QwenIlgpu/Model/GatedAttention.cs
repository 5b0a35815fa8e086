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
    public Tensor Record(Ops ops, Tensor x, ModelState state, int layer)
    {
        LayerPages pages = state.AttentionLayers[layer]!;
        Tensor q = ops.Linear(x, QProj);                                    // [T, H·2·Hd]
        Tensor k = ops.Linear(x, KProj);                                    // [T, Hkv·Hd]
        Tensor v = ops.Linear(x, VProj);                                    // [T, Hkv·Hd]
        ops.QkNormRotary(q, k, Heads, QNorm, KNorm, Rotary, Eps);
        ops.KvAppend(k, v, pages, state);
        return ops.Linear(ops.GatedAttention(q, pages, state, Heads), OProj);
    }
}
