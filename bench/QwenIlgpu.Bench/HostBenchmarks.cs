using System.Text;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace QwenIlgpu.Bench;

/// <summary>What runs on the host beside the kernels, measured by BenchmarkDotNet inside this process (no SDK needed).</summary>
[MemoryDiagnoser]
public class HostBenchmarks
{
    private readonly string text = Text(20_000);
    private QwenTokenizer tokenizer = null!;
    private int[] ids = null!;
    private ChatTemplate template = null!;
    private readonly PromptMessage[] conversation = Conversation(50);
    private readonly ChatTemplateOptions options = new() { Tools = Tools(8) };

    // 16 MiB, as weights are read, of numbers that are all finite.
    private readonly byte[] weights = [.. Enumerable.Repeat((byte)0x3c, 16 << 20)];

    internal static int Run(string[] args)
    {
        IConfig config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
        BenchmarkSwitcher.FromTypes([typeof(HostBenchmarks)]).Run(args.Length == 0 ? ["--filter", "*"] : args, config);
        return 0;
    }

    [GlobalSetup]
    public void Load()
    {
        tokenizer = QwenTokenizer.Load(ModelDirectory);
        ids = tokenizer.Encode(text, parseSpecial: false);
        template = ChatTemplate.Load(ModelDirectory);
    }

    /// <summary>Reading, parsing and probing the chat template of the built-in model.</summary>
    [Benchmark]
    public object LoadTemplate() => ChatTemplate.Load(ModelDirectory).Shape;

    /// <summary>A conversation of 50 turns, each with a call of one of 8 tools, to a prompt.</summary>
    [Benchmark]
    public int RenderConversation() => template.Render(conversation, options).Text.Length;

    /// <summary>Reading tokenizer.json of the built-in model.</summary>
    [Benchmark]
    public object LoadTokenizer() => QwenTokenizer.Load(ModelDirectory);

    /// <summary>20,000 characters of prose to ids.</summary>
    [Benchmark]
    public int Encode() => tokenizer.Encode(text, parseSpecial: false).Length;

    /// <summary>The same ids to text, one at a time.</summary>
    [Benchmark]
    public int DetokenizeStreaming()
    {
        var detokenizer = new StreamingDetokenizer(tokenizer);
        int length = 0;
        foreach (int id in ids)
            length += detokenizer.Append(id).Length;
        return length;
    }

    /// <summary>Opening the built-in checkpoint: configuration and safetensors header.</summary>
    [Benchmark]
    public long OpenCheckpoint()
    {
        using Checkpoint checkpoint = Checkpoint.Open(ModelDirectory);
        return checkpoint.WeightBytes;
    }

    /// <summary>The search for NaN and infinities in a block of bf16 weights that is being loaded: 16 MiB.</summary>
    [Benchmark]
    public int FindNonFiniteBf16() => NonFiniteWeights.IndexIn(weights, TensorType.BF16);

    // A question, a thought with a call, its result, and an answer: 200 messages, some 60,000 characters.
    private static PromptMessage[] Conversation(int turns) =>
    [
        .. Enumerable.Range(0, turns).SelectMany(turn => new[]
        {
            PromptMessage.User($"Question {turn}: {Text(300)}"),
            PromptMessage.Assistant("") with
            {
                ReasoningContent = Text(200),
                ToolCalls = [new PromptToolCall($"tool_{turn % 8}", new JsonObject { ["query"] = Text(80), ["limit"] = turn, ["tags"] = new JsonArray("a", "b") })],
            },
            PromptMessage.Tool(Text(400)),
            PromptMessage.Assistant(Text(300)),
        }),
    ];

    private static JsonArray Tools(int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => JsonNode.Parse(
            $$"""
            {"type": "function", "function": {"name": "tool_{{i}}", "description": "Searches the records of a kind.", "parameters": {"type": "object",
             "properties": {"query": {"type": "string", "description": "What to look for."}, "limit": {"type": "integer"},
             "tags": {"type": "array", "items": {"type": "string"} } }, "required": ["query"] } } }
            """)),
    ];

    private static string ModelDirectory => Path.Combine(AppContext.BaseDirectory, "models", "tiny-qwen3.6");

    private static string Text(int characters)
    {
        var builder = new StringBuilder();
        for (int i = 0; builder.Length < characters; i++)
            builder.Append("The quick brown fox no. ").Append(i).Append(" isn't late, said Émile; 中文 too.\n");
        return builder.ToString(0, characters);
    }
}
