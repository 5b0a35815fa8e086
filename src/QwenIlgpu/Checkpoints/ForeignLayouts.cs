namespace QwenIlgpu;

/// <summary>
/// Layouts in which other engines write these models, told by what only they have, so that they are refused by name and not for a tensor
/// that seems to be missing or wrong.
/// </summary>
internal static class ForeignLayouts
{
    private const string Instead = "use the checkpoint in the layout in which Hugging Face's transformers write it";

    // Projections that others fuse: their modules, and what stands for them here.
    private static readonly (string Module, string Separate)[] Fused =
    [
        (".linear_attn.in_proj_qkvz.", "in_proj_qkv and in_proj_z"),
        (".linear_attn.in_proj_ba.", "in_proj_b and in_proj_a"),
        (".mlp.gate_up_proj.", "gate_proj and up_proj"),
        (".self_attn.qkv_proj.", "q_proj, k_proj and v_proj"),
    ];

    /// <summary>Throws where one of the text model's tensors has a name or shape that only another layout has.</summary>
    public static void Refuse(TensorFiles files, TensorEntry tensor)
    {
        foreach ((string module, string separate) in Fused)
        {
            if (tensor.Name.Contains(module, StringComparison.Ordinal))
            {
                throw new NotSupportedException(
                    $"{files.PathOf(tensor)}: holds {tensor.Name}: fused projections, as Qwen3-Next and some exporters have them, are not supported; "
                    + $"{separate} are; {Instead}");
            }
        }

        const string Scales = ".scales";
        if (tensor.Name.EndsWith(Scales, StringComparison.Ordinal)
            && files.Tensors.TryGetValue($"{tensor.Name[..^Scales.Length]}.weight", out TensorEntry? weight) && weight.Type == TensorType.U32)
        {
            throw new NotSupportedException(
                $"{files.PathOf(tensor)}: holds {tensor.Name} beside a weight of {weight.TypeName}: MLX's quantisation is not supported; {Instead}; "
                + $"supported: {WeightFormats.Supported}");
        }

        // MLX also adds 1 to the norms, so that turning this tensor alone would not do.
        if (tensor.Name.EndsWith(".linear_attn.conv1d.weight", StringComparison.Ordinal) && (tensor.Shape is [_, > 1] or [_, > 1, 1]))
        {
            throw new NotSupportedException(
                $"{files.PathOf(tensor)}: tensor {tensor.Name} is {tensor.ShapeText}: the convolution as MLX and other engines lay it, where norms may "
                + $"be other numbers too, is not supported; [channels, 1, taps] is; {Instead}");
        }
    }
}
