using System.Collections.Immutable;
using System.Globalization;

namespace QwenIlgpu.Cli;

/// <summary>Memory that a model needs, in GB.</summary>
/// <param name="Gpu">Weights, and the cache and state of one sequence of 32,768 tokens.</param>
/// <param name="Cpu">What `--device auto` asks for: weights and room of a tenth of them, 1 GB at least.</param>
internal readonly record struct MemoryNeed(double Gpu, double Cpu);

/// <summary>A repository that loads as it is.</summary>
/// <param name="Repository">Its name on Hugging Face.</param>
/// <param name="Download">What it takes to fetch, in GB.</param>
/// <param name="AsStored">What its weights need as they are.</param>
/// <param name="Packed">What they need with <see cref="PublishedModels.Packing"/>.</param>
internal sealed record PublishedModel(string Repository, double Download, MemoryNeed AsStored, MemoryNeed Packed);

/// <summary>The repositories that fit, with what they need: the figures of `qwen info`.</summary>
internal static class PublishedModels
{
    /// <summary>The options that make a model as small as it gets.</summary>
    public const string Packing = "--quantize int4 --quantize-head int8";

    public static ImmutableArray<PublishedModel> All { get; } =
    [
        new("Qwen/Qwen3.5-0.8B", 1.7, new(1.9, 2.5), new(0.9, 1.5)),
        new("Qwen/Qwen3.5-2B", 4.5, new(4.2, 4.8), new(1.7, 2.2)),
        new("Qwen/Qwen3.5-4B", 9.3, new(9.5, 9.4), new(3.6, 3.5)),
        new("Qwen/Qwen3.5-9B", 19.3, new(19.0, 19.7), new(6.8, 6.6)),
        new("Qwen/Qwen3.5-27B", 55.6, new(56.1, 59.2), new(17.5, 16.7)),
        new("Qwen/Qwen3.6-27B", 55.6, new(56.1, 59.2), new(17.5, 16.7)),
        new("Qwen/Qwen3.8-27B", 55.6, new(56.1, 59.2), new(17.5, 16.7)),
        new("Qwen/Qwen3.5-27B-GPTQ-Int4", 30.2, new(30.7, 31.2), new(17.5, 16.7)),
    ];

    /// <summary>The list on a help page.</summary>
    public static void Write(HelpPage page)
    {
        page.WriteList("Models, in GB:", [.. All.Select(m => (
            m.Repository,
            $"fetch {Text(m.Download)}; GPU {Text(m.AsStored.Gpu)}, CPU {Text(m.AsStored.Cpu)}; packed {Text(m.Packed.Gpu)}, {Text(m.Packed.Cpu)}"))]);
        page.WriteText(
            $"GPU: with one sequence of 32768 tokens. Packed: {Packing}.", 2);
        page.WriteSection("To fetch and run one:");
        page.WriteCommand("pip install huggingface_hub");
        page.WriteCommand("hf download Qwen/Qwen3.5-4B");
        page.WriteCommand("qwen chat --model Qwen/Qwen3.5-4B");
    }

    private static string Text(double gigabytes) => gigabytes.ToString("F1", CultureInfo.InvariantCulture);
}
