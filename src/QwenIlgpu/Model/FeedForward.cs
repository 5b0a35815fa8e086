namespace QwenIlgpu;

/// <summary>The dense MLP: down_proj(silu(gate_proj(x)) · up_proj(x)).</summary>
internal sealed record FeedForward(LinearWeight GateProj, LinearWeight UpProj, LinearWeight DownProj)
{
    /// <summary>What checkpoints call it inside a layer.</summary>
    public const string Name = "mlp";

    /// <summary>Bytes of its projections.</summary>
    public long MatrixBytes => GateProj.SizeBytes + UpProj.SizeBytes + DownProj.SizeBytes;

    /// <summary>Records the MLP for normed rows x [T, D]; returns the stream with its output added.</summary>
    public ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x) =>
        ops.AddLinear(hidden, ops.GateUp(x, GateProj, UpProj), DownProj);
}
