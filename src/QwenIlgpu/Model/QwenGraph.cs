namespace QwenIlgpu;

/// <summary>
/// Records one step of the model: embedding, the layers, final norm, head. Called once per <see cref="StepShape"/>, never per token.
/// </summary>
internal static class QwenGraph
{
    public static RecordedStep Record(QwenWeights weights, Ops ops, ModelState state)
    {
        var residuals = new List<Tensor>(weights.Layers.Count + 1);
        Tensor residual = ops.Embed(weights.EmbedTokens);                                                   // [T, D]
        Tensor? branch = null;                                                                              // sub-layer output not yet added
        for (int index = 0; index < weights.Layers.Count; index++)
        {
            QwenLayer layer = weights.Layers[index];
            (residual, Tensor x) = ops.AddRmsNorm(residual, branch, layer.InputLayerNorm);
            residuals.Add(residual);
            string mixerScope = $"layers.{index}.{(layer.Mixer is GatedAttention ? "self_attn" : "linear_attn")}";
            branch = ops.Scoped(mixerScope, () => layer.Mixer.Record(ops, x, state, index));
            (residual, Tensor y) = ops.AddRmsNorm(residual, branch, layer.PostAttentionLayerNorm);
            branch = ops.Scoped($"layers.{index}.mlp", () => layer.FeedForward.Record(ops, y));
        }

        (residual, Tensor final) = ops.AddRmsNorm(residual, branch, weights.Norm);
        residuals.Add(residual);
        Tensor? logits = ops.Shape.LogitRows == 0
            ? null
            : ops.Linear(ops.GatherLogitRows(final), weights.LmHead, TensorRole.Output);                     // [R, Vocab]
        return new RecordedStep(residuals, final, logits);
    }
}

/// <summary>
/// What a recorded step yields: the residual stream before each layer and after the last ([T, D]; readable after a run only when
/// recorded as outputs), the final-norm hidden states [T, D], the logits [R, Vocab].
/// </summary>
internal sealed record RecordedStep(IReadOnlyList<Tensor> Residuals, Tensor FinalNorm, Tensor? Logits);
