namespace QwenIlgpu.Cli;

/// <summary>Lists the modules of a mixture of experts and says how a checkpoint stores them; none where there is no mixture.</summary>
internal static class ExpertInventory
{
    private const string Kind = "feed_forward";

    /// <summary>Modules of every layer, those of all experts of a layer together; <see cref="ModuleGroup.Count"/> counts experts.</summary>
    public static IEnumerable<ModuleGroup> Of(Checkpoint checkpoint) => checkpoint.Config.Experts is { } experts
        ? Enumerable.Range(0, checkpoint.Config.NumHiddenLayers).SelectMany(layer => OfLayer(checkpoint, experts, $"layers.{layer}.mlp"))
        : [];

    private static IEnumerable<ModuleGroup> OfLayer(Checkpoint checkpoint, MixtureOfExperts experts, string mlp)
    {
        (int hidden, int inner, int shared) = (checkpoint.Config.HiddenSize, checkpoint.Config.IntermediateSize, experts.SharedIntermediateSize);
        return
        [
            Module("gate", experts.Count, hidden),
            .. checkpoint.Find($"{mlp}.experts.gate_up_proj") is null
                ? [.. Each("gate_proj", inner, hidden), .. Each("up_proj", inner, hidden), .. Each("down_proj", hidden, inner)]
                : (ModuleGroup[])[Stacked("gate_up_proj", 2 * inner, hidden), Stacked("down_proj", hidden, inner)],
            Module("shared_expert_gate", 1, hidden),
            Module("shared_expert.gate_proj", shared, hidden),
            Module("shared_expert.up_proj", shared, hidden),
            Module("shared_expert.down_proj", hidden, shared),
        ];

        ModuleGroup Module(string name, int rows, int columns) => Of(name, name, rows, columns);

        IEnumerable<ModuleGroup> Each(string name, int rows, int columns) =>
            Enumerable.Range(0, experts.Count).Select(e => Of($"experts.{e}.{name}", $"experts.*.{name}", rows, columns));

        ModuleGroup Of(string stored, string shown, int rows, int columns)
        {
            ModuleEncoding encoding = checkpoint.Describe($"{mlp}.{stored}", rows, columns);
            return new ModuleGroup(Kind, $"mlp.{shown}", encoding.Text, (rows, columns), 1, encoding.StoredBytes);
        }

        // One tensor [E, N, K] of all experts.
        ModuleGroup Stacked(string name, int rows, int columns)
        {
            TensorEntry tensor = checkpoint.Get($"{mlp}.experts.{name}", experts.Count, rows, columns);
            return new ModuleGroup(Kind, $"mlp.experts.{name}", $"{tensor.TypeName}, experts in one tensor", (rows, columns), experts.Count, tensor.LengthBytes);
        }
    }
}
