using System;
using QwenIlgpu;

namespace QwenIlgpu.Tests;

/// <summary>The library sample of README.md; a test runs it and holds both texts equal.</summary>
internal static class ReadmeSample
{
    public static async Task Run(string[] args)
    {
        string path = args.Length > 0 ? args[0] : HuggingFaceCache.OfEnvironment().Find("Qwen/Qwen3.6-27B");
        var packed = new ModelOptions { Quantization = WeightQuantization.Int4, HeadQuantization = HeadQuantization.Int8 };
        await using QwenModel model = await QwenModel.LoadAsync(path, packed);
        await using var engine = new Engine(model);

        PromptMessage[] messages = [PromptMessage.User("What is the capital of Norway?")];
        var template = new ChatTemplateOptions { EnableThinking = false };
        var options = new GenerationOptions { MaxTokens = 64, Sampling = new SamplingOptions { Temperature = 0 } };
        await foreach (GenerationUpdate update in engine.GenerateAsync(messages, template, options))
            Console.Write(update.Text);
    }
}
