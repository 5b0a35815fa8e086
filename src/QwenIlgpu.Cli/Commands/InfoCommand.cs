using System.CommandLine;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Plan;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen info`: what a checkpoint is, read from its configuration and headers.</summary>
internal static class InfoCommand
{
    public const string Examples =
        """
        qwen info --model ~/models/Qwen3.6-27B-GPTQ-Int4
        qwen info --model Qwen/Qwen3.6-27B --quantize int4 --quantize-head int8
        qwen info --plan --synthetic 27b --context 262144 --kv-type int4 --gpu-memory 24GiB --plan-picture plan.svg
        qwen info --json
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<int> context = NumberOption.WithDefault(
            "--context", "Length in tokens that the cache is worked out for. 0: the model's own limit, at most 32768.",
            0, NumberRange.Whole(0));
        Option<KvType?> pages = ModelArguments.KvTypeOption(KvType.Bf16);
        Option<DeltaStateType?> states = ModelArguments.StateTypeOption();
        Option<WeightQuantization> quantize = ModelArguments.QuantizeOption();
        Option<HeadQuantization> quantizeHead = ModelArguments.QuantizeHeadOption();
        Option<RopeScaling?> ropeScaling = ModelArguments.RopeScalingOption();
        var command = new Command("info", "Describe a checkpoint without loading it: shape, parameters, memory, quantisation.")
        {
            context, pages, states, quantize, quantizeHead, ropeScaling,
        };
        var plan = new PlanArguments();
        plan.AddTo(command);
        command.SetAction(async (parse, _) =>
        {
            plan.Check(parse, common.Model, ropeScaling);
            var options = new ModelOptions
            {
                Quantization = parse.GetValue(quantize),
                HeadQuantization = parse.GetValue(quantizeHead),
                RopeScaling = parse.GetValue(ropeScaling),
            };
            KvType kvType = parse.GetValue(pages) ?? KvType.Bf16;
            DeltaStateType stateType = parse.GetValue(states) ?? DeltaStateType.F32;
            if (parse.GetValue(plan.Plan))
            {
                // Shapes are in INT4, as bench makes them, unless something else is said.
                if (parse.GetValue(plan.Synthetic) is not null && !PlanArguments.IsGiven(parse, quantize))
                    options = options with { Quantization = WeightQuantization.Int4 };
                var engine = new EngineOptions { ContextTokens = parse.GetValue(context), KvType = kvType, DeltaStateType = stateType };
                await new PlanCommand(plan, common, terminal).RunAsync(parse, options, engine).ConfigureAwait(false);
                return ExitCode.Done;
            }

            string directory = ModelDirectory.Resolve(parse, common, terminal);
            using Checkpoint checkpoint = Checkpoint.Open(directory, parse.GetValue(ropeScaling));
            foreach (string notice in checkpoint.Notices)
                terminal.Note(notice);
            int most = checkpoint.Config.MaxPositionEmbeddings;
            int tokens = parse.GetValue(context);
            if (tokens > most)
                throw new UsageException($"--context is {tokens}; this model was made for at most {most} tokens");
            JsonObject info = Describe(checkpoint, options, tokens == 0 ? Math.Min(most, 32_768) : tokens, kvType, stateType, terminal);
            if (parse.GetValue(common.Json))
                terminal.WriteJson(info);
            else
                JsonTable.Write(terminal.Output, info);
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonObject Describe(
        Checkpoint checkpoint, ModelOptions options, int contextTokens, KvType kvType, DeltaStateType stateType, Terminal terminal)
    {
        string directory = checkpoint.DirectoryPath;
        IReadOnlyList<ModuleGroup> modules = ModuleInventory.Of(checkpoint);
        return new JsonObject
        {
            ["model"] = checkpoint.DirectoryPath,
            ["config"] = Config(checkpoint.Config),
            ["tokenizer_size"] = Readable(() => JsonValue.Create(QwenTokenizer.Load(directory).VocabularySize), terminal),
            ["chat_template"] = TemplateOf(directory, terminal, out AnswerShape? answer),
            ["answer"] = answer?.ToJson(),
            ["generation_config"] = Readable(() => Generation(GenerationConfig.Load(directory)), terminal),
            ["parameters"] = Parameters(checkpoint.Config.Parameters),
            ["memory"] = Memory(checkpoint, options, modules, contextTokens, kvType, stateType),
            ["mtp"] = checkpoint.MtpTensors == 0 ? null : new JsonObject
            {
                ["tensors"] = checkpoint.MtpTensors,
                ["bytes"] = checkpoint.MtpBytes,
                ["state"] = "not loaded yet",
            },
            ["modules"] = new JsonArray([.. modules.Select(Module)]),
        };
    }

    private static JsonObject Config(QwenConfig c) => new()
    {
        ["hidden_size"] = c.HiddenSize,
        ["intermediate_size"] = c.IntermediateSize,
        ["experts"] = c.Experts is { } experts ? Experts(experts) : null,
        ["layers"] = c.NumHiddenLayers,
        ["layer_types"] = string.Concat(c.LayerTypes.Select(t => t == LayerType.FullAttention ? 'A' : 'D')),
        ["delta_net_layers"] = c.NumLinearAttentionLayers,
        ["attention_layers"] = c.NumFullAttentionLayers,
        ["attention_heads"] = c.NumAttentionHeads,
        ["key_value_heads"] = c.NumKeyValueHeads,
        ["head_dim"] = c.HeadDim,
        ["rotary_dim"] = c.RotaryDim,
        ["rope_theta"] = c.RopeTheta,
        ["rope_scaling"] = c.Yarn is { } yarn ? Yarn(yarn) : null,
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

    private static JsonObject Experts(MixtureOfExperts experts) => new()
    {
        ["count"] = experts.Count,
        ["per_token"] = experts.PerToken,
        ["shared_intermediate_size"] = experts.SharedIntermediateSize,
        ["state"] = "a mixture of experts: cannot be loaded yet",
    };

    private static JsonObject Yarn(YarnScaling yarn) => new()
    {
        ["type"] = "yarn",
        ["factor"] = yarn.Factor,
        ["original_max_position_embeddings"] = yarn.OriginalPositions,
        ["attention_factor"] = JsonOutput.Rounded(yarn.AttentionFactor, 6),
    };

    // A part that cannot be read leaves the rest of the report as it is.
    private static JsonNode? Readable(Func<JsonNode?> read, Terminal terminal)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (CheckpointFile.IsFault(e))
        {
            terminal.Note(e.Message);
            return null;
        }
    }

    /// <summary>What the checkpoint's chat template is called, or why it cannot be used, and what answers look like to it.</summary>
    public static string TemplateOf(string directory, Terminal terminal, out AnswerShape? answer)
    {
        answer = null;
        try
        {
            ChatTemplate template = ChatTemplate.Load(directory);
            if (template.Notice is { } notice)
                terminal.Note($"{directory}: {notice}");
            answer = template.Shape;
            return template.Name;
        }
        catch (Exception e) when (CheckpointFile.IsFault(e))
        {
            return e.Message;
        }
    }

    private static JsonObject? Generation(GenerationConfig? g)
    {
        if (g is null)
            return null;
        JsonNode? Raw(string key) => g.Raw(key) is { } value ? JsonNode.Parse(value.GetRawText()) : null;
        return new JsonObject
        {
            ["do_sample"] = Raw("do_sample"),
            ["temperature"] = Raw("temperature"),
            ["top_k"] = Raw("top_k"),
            ["top_p"] = Raw("top_p"),
            ["min_p"] = Raw("min_p"),
            ["eos_token_ids"] = Raw("eos_token_id") switch { null => [], JsonArray ids => ids, { } id => new JsonArray(id) },
        };
    }

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

    private static JsonObject Memory(
        Checkpoint checkpoint, ModelOptions options, IReadOnlyList<ModuleGroup> modules, int contextTokens, KvType kvType,
        DeltaStateType stateType)
    {
        QwenConfig c = checkpoint.Config;
        var weights = new JsonObject();
        foreach (IGrouping<string, ModuleGroup> kind in modules.GroupBy(m => m.Kind))
            weights[kind.Key] = kind.Sum(m => m.Bytes);
        weights["rest"] = checkpoint.WeightBytes - modules.Sum(m => m.Bytes);
        weights["total"] = checkpoint.WeightBytes;
        long cacheBytes = c.KvBytesPerToken(kvType) * contextTokens;
        long snapshotBytes = c.StateBytesPerSequence(stateType.ElementBytes());
        using ComputeDevice device = ComputeDevice.OpenCpu();
        long? loadedBytes = c.Experts is null ? CheckpointWeights.Measure(checkpoint, device, options).WeightBytes : null;
        return new JsonObject
        {
            ["weight_bytes_on_disk"] = weights,
            ["weight_bytes_loaded"] = loadedBytes,
            ["gpu_bytes_for_one_sequence"] = loadedBytes + cacheBytes + snapshotBytes,
            ["cpu_bytes_asked_for"] = loadedBytes is { } bytes ? bytes + CpuChoice.RoomBytes(bytes) : null,
            ["cache_bytes_per_token"] = c.KvBytesPerToken(kvType),
            ["cache_context_tokens"] = contextTokens,
            ["cache_bytes_at_context"] = cacheBytes,
            ["delta_state_bytes_per_sequence"] = c.RecurrentBytesPerSequence(stateType.ElementBytes()),
            ["conv_tail_bytes_per_sequence"] = c.ConvTailBytesPerSequence,
            ["snapshot_bytes"] = snapshotBytes,
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
