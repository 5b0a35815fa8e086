namespace QwenIlgpu;

/// <summary>The dense MLP: down_proj(silu(gate_proj(x)) · up_proj(x)).</summary>
internal sealed record FeedForward(LinearWeight GateProj, LinearWeight UpProj, LinearWeight DownProj)
{
    public Tensor Record(Ops ops, Tensor x) => ops.Linear(ops.SwiGlu(ops.Linear(x, GateProj), ops.Linear(x, UpProj)), DownProj);
}
