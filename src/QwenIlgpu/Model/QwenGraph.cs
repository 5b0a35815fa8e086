using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Records one step of the model: the tokens drawn last, embedding, the layers, final norm, head, the next tokens. Called once per
/// <see cref="StepShape"/>, never per token.
/// </summary>
internal static class QwenGraph
{
    public static RecordedStep Record(QwenWeights weights, Ops ops, ModelState state)
    {
        var residuals = new List<Tensor>(weights.Layers.Count + 1);
        if (ops.Shape.FeedsBack)
            ops.FeedTokens();
        ResidualStream hidden = ops.Embed(weights.EmbedTokens);                                             // [T, D]
        for (int index = 0; index < weights.Layers.Count; index++)
        {
            QwenLayer layer = weights.Layers[index];
            hidden = ops.Scoped(new LayerScope(index, layer.Mixer.Name), () =>
            {
                (ResidualStream h, NormedRows x) = ops.Norm(hidden, layer.InputLayerNorm);
                residuals.Add(h.Sum);
                return layer.Mixer.Record(ops, h, x, state, index);
            });
            hidden = ops.Scoped(new LayerScope(index, FeedForward.Name), () =>
            {
                (ResidualStream h, NormedRows x) = ops.Norm(hidden, layer.PostAttentionLayerNorm);
                return layer.FeedForward.Record(ops, h, x);
            });
        }

        (hidden, Tensor final) = ops.NormRows(hidden, weights.Norm);
        residuals.Add(hidden.Sum);
        Tensor? logits = ops.Shape.LogitRows == 0
            ? null
            : ops.Linear(ops.GatherLogitRows(final), weights.LmHead, TensorRole.Output);                     // [R, Vocab]
        ops.Score(final, weights.LmHead);
        if (ops.Shape.Samples && logits is not null)
            ops.Sample(logits);
        return new RecordedStep(residuals, final, logits);
    }
}

/// <summary>
/// The residual stream [T, D] between two sub-layers: a sum, and the last sub-layer's output where that has not been added yet. The next
/// norm adds it.
/// </summary>
internal readonly record struct ResidualStream(Tensor Sum, Tensor? Branch);

/// <summary>
/// Rows [T, D] after a norm: written out, or the rows before it with the norm that the matmul reading them still has to apply.
/// </summary>
internal readonly record struct NormedRows(Tensor Rows, NormWeight? Pending);

/// <summary>The token mixer of a layer: gated attention or gated delta net.</summary>
internal interface IMixer
{
    /// <summary>What checkpoints call it inside a layer.</summary>
    string Name { get; }

    /// <summary>Bytes of its projections.</summary>
    long MatrixBytes { get; }

    /// <summary>Records the mixer for normed rows x [T, D]; returns the stream with its output added.</summary>
    ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer);
}

/// <summary>
/// Gated full attention (`self_attn`): q|gate per head, k, v; q/k norm and partial rotary; causal attention over the pages; the
/// output times σ(gate) goes through o_proj.
/// </summary>
internal sealed record GatedAttention(
    LinearWeight QProj, LinearWeight KProj, LinearWeight VProj, LinearWeight OProj, QkNormWeights Norms, AttentionShape Heads) : IMixer
{
    public const string ModuleName = "self_attn";

    public string Name => ModuleName;

    public long MatrixBytes => QProj.SizeBytes + KProj.SizeBytes + VProj.SizeBytes + OProj.SizeBytes;

    public ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer)
    {
        LayerPages pages = state.AttentionLayers[layer]!;
        Tensor[] qkv = ops.Linears(x, QProj, KProj, VProj);
        (Tensor q, Tensor k, Tensor v) = (qkv[0], qkv[1], qkv[2]);          // [T, H·2·Hd], [T, Hkv·Hd] twice
        ops.QkNormRotaryAppend(q, k, v, pages, Heads, Norms);
        return ops.AddLinear(hidden, ops.GatedAttention(q, pages, Heads), OProj);
    }
}

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
        return ops.AddLinear(hidden, ops.DeltaNet(mixed, z, b, a, Heads, Weights, layer), OutProj);
    }
}

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

/// <summary>Head counts and size of a gated attention layer: H, Hkv, Hd.</summary>
internal readonly record struct AttentionShape(int Heads, int KvHeads, int HeadDim);

/// <summary>
/// What a recorded step yields: the residual stream before each layer and after the last ([T, D]; readable after a run only when
/// recorded as outputs), the final-norm hidden states [T, D], the logits [R, Vocab].
/// </summary>
internal sealed record RecordedStep(IReadOnlyList<Tensor> Residuals, Tensor FinalNorm, Tensor? Logits);
