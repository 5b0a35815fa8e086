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
/// What a recorded step yields: the residual stream before each layer and after the last ([T, D]; readable after a run only when
/// recorded as outputs), the final-norm hidden states [T, D], the logits [R, Vocab].
/// </summary>
internal sealed record RecordedStep(IReadOnlyList<Tensor> Residuals, Tensor FinalNorm, Tensor? Logits);

/// <summary>
/// The residual stream [T, D] between two sub-layers: a sum, and the last sub-layer's output where that has not been added yet. The next
/// norm adds it.
/// </summary>
internal readonly record struct ResidualStream(Tensor Sum, Tensor? Branch);

/// <summary>
/// Rows [T, D] after a norm: written out, or the rows before it with the norm that the matmul reading them still has to apply.
/// </summary>
internal readonly record struct NormedRows(Tensor Rows, NormWeight? Pending);
