namespace QwenIlgpu.Cli;

/// <summary>Linear modules of a checkpoint that share place, shape and encoding.</summary>
/// <param name="Kind">Embedding, attention, DeltaNet, feed-forward, head.</param>
/// <param name="Module">Name inside a layer, such as <c>mlp.up_proj</c>, or of the whole.</param>
/// <param name="Encoding">How the weights are stored, in words.</param>
/// <param name="Shape">[N, K].</param>
/// <param name="Count">How many there are: layers, usually.</param>
/// <param name="Bytes">What all of them take on disk.</param>
internal sealed record ModuleGroup(string Kind, string Module, string Encoding, (int Rows, int Columns) Shape, int Count, long Bytes);

/// <summary>Walks the linear modules that a configuration asks for and says how the checkpoint stores each.</summary>
internal static class ModuleInventory
{
    public static IReadOnlyList<ModuleGroup> Of(Checkpoint checkpoint)
    {
        return
        [
            .. Modules(checkpoint.Config).Select(m => Describe(checkpoint, m))
                .GroupBy(g => (g.Kind, g.Module, g.Encoding, g.Shape))
                .Select(g => g.First() with { Count = g.Count(), Bytes = g.Sum(x => x.Bytes) }),
        ];
    }

    private static ModuleGroup Describe(Checkpoint checkpoint, Module module)
    {
        (string encoding, long bytes) = checkpoint.Describe(module.Prefix + module.Name, module.Rows, module.Columns) switch
        {
            PlainModule plain => (plain.Weight.TypeName, plain.Weight.LengthBytes),
            GptqModule gptq => (
                $"GPTQ INT4, symmetric, groups of {gptq.GroupSize}, scales {gptq.Scales.TypeName}",
                gptq.QWeight.LengthBytes + gptq.QZeros.LengthBytes + gptq.Scales.LengthBytes + (gptq.GIdx?.LengthBytes ?? 0)),
            ModuleEncoding other => (other.GetType().Name, 0),
        };
        return new ModuleGroup(module.Kind, module.Name, encoding, (module.Rows, module.Columns), 1, bytes);
    }

    private static IEnumerable<Module> Modules(QwenConfig c)
    {
        yield return new("embedding", "", "embed_tokens", c.VocabSize, c.HiddenSize);
        for (int i = 0; i < c.NumHiddenLayers; i++)
        {
            string layer = $"layers.{i}.";
            IEnumerable<Module> mixer = c.LayerTypes[i] == LayerType.FullAttention ? Attention(c, layer) : DeltaNet(c, layer);
            foreach (Module module in mixer)
                yield return module;
            yield return new("feed_forward", layer, "mlp.gate_proj", c.IntermediateSize, c.HiddenSize);
            yield return new("feed_forward", layer, "mlp.up_proj", c.IntermediateSize, c.HiddenSize);
            yield return new("feed_forward", layer, "mlp.down_proj", c.HiddenSize, c.IntermediateSize);
        }

        if (!c.TieWordEmbeddings)
            yield return new("lm_head", "", "lm_head", c.VocabSize, c.HiddenSize);
    }

    private static IEnumerable<Module> Attention(QwenConfig c, string layer)
    {
        yield return new("attention", layer, "self_attn.q_proj", 2 * c.QueryWidth, c.HiddenSize);
        yield return new("attention", layer, "self_attn.k_proj", c.KeyValueWidth, c.HiddenSize);
        yield return new("attention", layer, "self_attn.v_proj", c.KeyValueWidth, c.HiddenSize);
        yield return new("attention", layer, "self_attn.o_proj", c.HiddenSize, c.QueryWidth);
    }

    private static IEnumerable<Module> DeltaNet(QwenConfig c, string layer)
    {
        yield return new("delta_net", layer, "linear_attn.in_proj_qkv", c.LinearConvChannels, c.HiddenSize);
        yield return new("delta_net", layer, "linear_attn.in_proj_z", c.LinearValueWidth, c.HiddenSize);
        yield return new("delta_net", layer, "linear_attn.in_proj_b", c.LinearNumValueHeads, c.HiddenSize);
        yield return new("delta_net", layer, "linear_attn.in_proj_a", c.LinearNumValueHeads, c.HiddenSize);
        yield return new("delta_net", layer, "linear_attn.out_proj", c.HiddenSize, c.LinearValueWidth);
    }

    private sealed record Module(string Kind, string Prefix, string Name, int Rows, int Columns);
}
