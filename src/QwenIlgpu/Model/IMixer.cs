namespace QwenIlgpu;

/// <summary>The token mixer of a layer: gated attention or gated delta net.</summary>
internal interface IMixer
{
    /// <summary>Records the mixer for normed rows x [T, D]; returns the branch [T, D] to add to the residual stream.</summary>
    Tensor Record(Ops ops, Tensor x, ModelState state, int layer);
}
