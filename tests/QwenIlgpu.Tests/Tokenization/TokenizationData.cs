using System.IO.Compression;
using System.Text.Json;

namespace QwenIlgpu.Tests;

/// <summary>The tiny model's tokenizer, the golden data, and directories made for one test.</summary>
internal static class TokenizationData
{
    public static string Model => Path.Combine(AppContext.BaseDirectory, "models", "tiny-qwen3.6");

    public static QwenTokenizer Tokenizer { get; } = QwenTokenizer.Load(Model);

    public static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "data", name);

    public static JsonElement[] Golden(string name)
    {
        string path = PathOf($"golden/{name}.json");
        using Stream stream = File.Exists(path) ? File.OpenRead(path) : new GZipStream(File.OpenRead(path + ".gz"), CompressionMode.Decompress);
        using JsonDocument document = JsonDocument.Parse(stream);
        return [.. document.RootElement.Clone().EnumerateArray()];
    }

    public static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    public static int[] Ids(JsonElement golden) => [.. golden.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];

    /// <summary>A prompt of parts: what a template wrote, what it was given, and so on in turns.</summary>
    public static RenderedPrompt Prompt(params string[] parts)
    {
        List<TextRange> ranges = [];
        for (int i = 0, start = 0; i < parts.Length; start += parts[i].Length, i++)
        {
            if (i % 2 == 0 && parts[i].Length > 0)
                ranges.Add(new TextRange(start, start + parts[i].Length));
        }

        return new RenderedPrompt(string.Concat(parts), ranges);
    }

    /// <summary>Runs an action on a directory that holds these files, and removes it.</summary>
    public static T WithDirectory<T>(Func<string, T> action, params (string Name, string Text)[] files)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("qwen-tokenization-");
        try
        {
            foreach ((string name, string text) in files)
                File.WriteAllText(Path.Combine(directory.FullName, name), text);
            return action(directory.FullName);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
