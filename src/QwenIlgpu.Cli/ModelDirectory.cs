using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>The checkpoint directory that a command works with.</summary>
internal static class ModelDirectory
{
    /// <summary>The test model that lies beside the executable.</summary>
    public static string BuiltIn => Path.Combine(AppContext.BaseDirectory, "models", "tiny-qwen3.6");

    /// <summary>
    /// What --model names, a directory or else a repository in the Hugging Face cache; the built-in model, with a line that says so, if it
    /// is not given.
    /// </summary>
    public static string Resolve(ParseResult parse, CommonOptions common, Terminal terminal)
    {
        if (parse.GetValue(common.Model) is not { } directory)
        {
            terminal.Note("using the built-in test model, tiny and ignorant; --model DIR or ORG/NAME takes a real one: qwen --help lists those that fit");
            return BuiltIn;
        }

        if (directory.Length == 0)
            throw new UsageException("--model is empty; it must name a checkpoint directory or a repository");
        if (Directory.Exists(directory))
            return directory;
        if (WeightFormats.IsGguf(directory))
            throw WeightFormats.GgufRefused(directory);
        if (File.Exists(directory))
        {
            throw new DirectoryNotFoundException(
                $"{directory} is a file; --model takes the directory that holds config.json and the safetensors files");
        }

        if (!HuggingFaceCache.IsRepository(directory))
        {
            throw new DirectoryNotFoundException(
                $"{directory}: no such directory; --model takes a directory with config.json, tokenizer.json and safetensors files, "
                + "or ORG/NAME of the Hugging Face cache. Without --model the built-in test model runs");
        }

        try
        {
            return common.HuggingFace.Find(directory);
        }
        catch (DirectoryNotFoundException e)
        {
            throw new DirectoryNotFoundException($"{directory}: no such directory, and {e.Message}", e);
        }
    }
}
