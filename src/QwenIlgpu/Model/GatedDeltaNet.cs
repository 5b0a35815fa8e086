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
    public ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer)
    {
        DeltaLayerState layerState = state.DeltaLayers[layer]!;
        Tensor[] projections = ops.Linears(x, InProjQkv, InProjZ, InProjB, InProjA);
        (Tensor mixed, Tensor z) = (projections[0], projections[1]);        // [T, 2·Hk·Dk + Hv·Dv], [T, Hv·Dv]
        (Tensor beta, Tensor g) = ops.DeltaGates(projections[2], projections[3], ALog, DtBias);
        Tensor qkv = ops.CausalConv1d(mixed, Conv1d, layerState);
        ops.QkL2Norm(qkv, Heads);
        Tensor y = ops.GatedDeltaRule(qkv, beta, g, Heads, layerState);     // [T, Hv·Dv]
        return ops.AddLinear(hidden, ops.GatedRmsNorm(y, z, Norm, Heads.ValueHeadDim, Eps), OutProj);
    }
}
