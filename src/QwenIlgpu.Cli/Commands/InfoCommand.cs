using System.CommandLine;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen info`: what a checkpoint is, read from its configuration and headers.</summary>
internal static class InfoCommand
{
    public const string Examples =
        """
        qwen info --model ~/models/Qwen3.6-27B-GPTQ-Int4
        qwen info --json
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<int> context = NumberOption.WithDefault(
            "--context", "Length in tokens that the cache is worked out for. 0: the model's own limit, at most 32768.",
            0, v => v >= 0, "0 or a positive whole number");
        Option<PageType?> pages = ModelArguments.PageTypeOption(PageType.Bf16);
        var command = new Command("info", "Describe a checkpoint without loading it: shape, parameters, memory, quantisation.")
        {
            context, pages,
        };
        command.SetAction(parse =>
        {
            string directory = ModelDirectory.Resolve(parse, common, terminal);
            using Checkpoint checkpoint = Checkpoint.Open(directory);
            int most = checkpoint.Config.MaxPositionEmbeddings;
            int tokens = parse.GetValue(context);
            if (tokens > most)
                throw new UsageException($"--context is {tokens}; this model was made for at most {most} tokens");
            JsonObject info = Describe(checkpoint, tokens == 0 ? Math.Min(most, 32_768) : tokens, parse.GetValue(pages) ?? PageType.Bf16);
            if (parse.GetValue(common.Json))
                terminal.WriteJson(info);
            else
                JsonTable.Write(terminal.Output, info);
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonObject Describe(Checkpoint checkpoint, int contextTokens, PageType pageType)
    {
        IReadOnlyList<ModuleGroup> modules = ModuleInventory.Of(checkpoint);
        return new JsonObject
        {
            ["model"] = checkpoint.DirectoryPath,
            ["config"] = Config(checkpoint.Config),
            ["tokenizer_size"] = QwenTokenizer.Load(checkpoint.DirectoryPath).VocabularySize,
            ["chat_template"] = TemplateOf(checkpoint.DirectoryPath),
            ["generation_config"] = Generation(checkpoint.Generation),
            ["parameters"] = Parameters(checkpoint.Config.Parameters),
            ["memory"] = Memory(checkpoint, modules, contextTokens, pageType),
            ["modules"] = new JsonArray([.. modules.Select(Module)]),
        };
    }

    private static JsonObject Config(QwenConfig c) => new()
    {
        ["hidden_size"] = c.HiddenSize,
        ["intermediate_size"] = c.IntermediateSize,
        ["layers"] = c.NumHiddenLayers,
        ["layer_types"] = string.Concat(c.LayerTypes.Select(t => t == LayerType.FullAttention ? 'A' : 'D')),
        ["delta_net_layers"] = c.NumLinearAttentionLayers,
        ["attention_layers"] = c.NumFullAttentionLayers,
        ["attention_heads"] = c.NumAttentionHeads,
        ["key_value_heads"] = c.NumKeyValueHeads,
        ["head_dim"] = c.HeadDim,
        ["rotary_dim"] = c.RotaryDim,
        ["rope_theta"] = c.RopeTheta,
        ["delta_key_heads"] = c.LinearNumKeyHeads,
        ["delta_value_heads"] = c.LinearNumValueHeads,
        ["delta_key_head_dim"] = c.LinearKeyHeadDim,
        ["delta_value_head_dim"] = c.LinearValueHeadDim,
        ["conv_kernel"] = c.LinearConvKernelDim,
        ["vocab_size"] = c.VocabSize,
        ["tied_embeddings"] = c.TieWordEmbeddings,
        ["max_position_embeddings"] = c.MaxPositionEmbeddings,
        ["mtp_layers"] = c.MtpNumHiddenLayers,
    };

    private static string TemplateOf(string directory)
    {
        try
        {
            return ChatTemplate.Load(directory).Name;
        }
        catch (NotSupportedException e)
        {
            return e.Message;
        }
    }

    private static JsonObject? Generation(GenerationConfig? g) => g is null ? null : new JsonObject
    {
        ["do_sample"] = g.DoSample,
        ["temperature"] = g.Temperature,
        ["top_k"] = g.TopK,
        ["top_p"] = g.TopP,
        ["min_p"] = g.MinP,
        ["eos_token_ids"] = g.EosTokenIds.ToJson(),
    };

    private static JsonObject Parameters(ParameterCounts p) => new()
    {
        ["embedding"] = p.Embedding,
        ["attention"] = p.Attention,
        ["delta_net"] = p.DeltaNet,
        ["feed_forward"] = p.FeedForward,
        ["lm_head"] = p.LmHead,
        ["rest"] = p.Rest,
        ["total"] = p.Total,
    };

    private static JsonObject Memory(Checkpoint checkpoint, IReadOnlyList<ModuleGroup> modules, int contextTokens, PageType pageType)
    {
        QwenConfig c = checkpoint.Config;
        var weights = new JsonObject();
        foreach (IGrouping<string, ModuleGroup> kind in modules.GroupBy(m => m.Kind))
            weights[kind.Key] = kind.Sum(m => m.Bytes);
        weights["rest"] = checkpoint.WeightBytes - modules.Sum(m => m.Bytes);
        weights["total"] = checkpoint.WeightBytes;
        int elementBytes = pageType == PageType.F32 ? sizeof(float) : sizeof(ushort);
        return new JsonObject
        {
            ["weight_bytes_on_disk"] = weights,
            ["cache_bytes_per_token"] = c.KvBytesPerToken(elementBytes),
            ["cache_context_tokens"] = contextTokens,
            ["cache_bytes_at_context"] = c.KvBytesPerToken(elementBytes) * contextTokens,
            ["delta_state_bytes_per_sequence"] = c.RecurrentBytesPerSequence,
            ["conv_tail_bytes_per_sequence"] = c.ConvTailBytesPerSequence,
        };
    }

    private static JsonObject Module(ModuleGroup m) => new()
    {
        ["module"] = m.Module,
        ["count"] = m.Count,
        ["shape"] = new JsonArray(m.Shape.Rows, m.Shape.Columns),
        ["encoding"] = m.Encoding,
        ["bytes"] = m.Bytes,
    };
}
