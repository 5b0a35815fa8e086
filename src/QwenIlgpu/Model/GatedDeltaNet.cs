using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Gated DeltaNet (`linear_attn`): q|k|v through a causal conv1d and SiLU, l2-normed q and k, gates β and g, the gated delta rule,
/// RMSNorm gated by z, out_proj.
/// </summary>
internal sealed record GatedDeltaNet(
    LinearWeight InProjQkv, LinearWeight InProjZ, LinearWeight InProjB, LinearWeight InProjA, LinearWeight OutProj,
    DeltaParameters Weights, DeltaShape Heads) : IMixer
{
    public const string ModuleName = "linear_attn";

    public string Name => ModuleName;

    public long MatrixBytes => InProjQkv.SizeBytes + InProjZ.SizeBytes + InProjB.SizeBytes + InProjA.SizeBytes + OutProj.SizeBytes;

    public ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer)
    {
        Tensor[] projections = ops.Linears(x, InProjQkv, InProjZ, InProjB, InProjA);
        (Tensor mixed, Tensor z) = (projections[0], projections[1]);        // [T, 2·Hk·Dk + Hv·Dv], [T, Hv·Dv]
        (Tensor b, Tensor a) = (projections[2], projections[3]);            // [T, Hv]
        return ops.AddLinear(hidden, ops.DeltaNet(mixed, z, b, a, Heads, Weights, state.DeltaLayers[layer]!), OutProj);
    }
}
