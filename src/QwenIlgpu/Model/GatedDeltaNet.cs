using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Gated DeltaNet (`linear_attn`): q|k|v through a causal conv1d and SiLU, l2-normed q and k, gates β and g, the gated delta rule,
/// RMSNorm gated by z, out_proj.
/// </summary>
internal sealed record GatedDeltaNet(
    LinearWeight InProjQkv, LinearWeight InProjZ, LinearWeight InProjB, LinearWeight InProjA, LinearWeight OutProj,
    Matrix<float> Conv1d, ArrayView<float> ALog, ArrayView<float> DtBias, ArrayView<float> Norm, DeltaShape Heads, float Eps) : IMixer
{
    public Tensor Record(Ops ops, Tensor x, ModelState state, int layer)
    {
        DeltaLayerState layerState = state.DeltaLayers[layer]!;
        Tensor mixed = ops.Linear(x, InProjQkv);                            // [T, 2·Hk·Dk + Hv·Dv]
        Tensor z = ops.Linear(x, InProjZ);                                  // [T, Hv·Dv]
        (Tensor beta, Tensor g) = ops.DeltaGates(ops.Linear(x, InProjB), ops.Linear(x, InProjA), ALog, DtBias);
        Tensor qkv = ops.CausalConv1d(mixed, Conv1d, layerState);
        ops.QkL2Norm(qkv, Heads);
        Tensor y = ops.GatedDeltaRule(qkv, beta, g, Heads, layerState);     // [T, Hv·Dv]
        return ops.Linear(ops.GatedRmsNorm(y, z, Norm, Heads.ValueHeadDim, Eps), OutProj);
    }
}
