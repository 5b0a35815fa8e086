namespace QwenIlgpu;

/// <summary>
/// Records one step of the model: embedding, the layers, final norm, head. Called once per <see cref="StepShape"/>, never per token.
/// </summary>
internal static class QwenGraph
{
    public static RecordedStep Record(QwenWeights weights, Ops ops, ModelState state)
    {
        var residuals = new List<Tensor>(weights.Layers.Count + 1);
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
        return new RecordedStep(residuals, final, logits);
    }
}

/// <summary>
/// What a recorded step yields: the residual stream before each layer and after the last ([T, D]; readable after a run only when
/// recorded as outputs), the final-norm hidden states [T, D], the logits [R, Vocab].
/// </summary>
internal sealed record RecordedStep(IReadOnlyList<Tensor> Residuals, Tensor FinalNorm, Tensor? Logits);
