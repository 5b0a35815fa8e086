using System.CommandLine;
using System.Text.Json;

namespace QwenIlgpu.Cli;

/// <summary>The --input of the commands that compare with other implementations: a JSON array from a file or standard input.</summary>
internal static class JsonInput
{
    /// <summary>The option; <paramref name="what"/> says what the array holds.</summary>
    public static Option<string> Create(string what) => new("--input")
    {
        Description = $"File with a JSON array of {what}; - reads standard input.",
        HelpName = "FILE",
        Required = true,
        Arity = ArgumentArity.ExactlyOne,
    };

    /// <summary>The array's items.</summary>
    public static JsonElement[] Read(string file, Terminal terminal)
    {
        if (file != "-" && !File.Exists(file))
            throw new FileNotFoundException($"{file}: no such file; --input takes a JSON file, or - for standard input");
        string name = file == "-" ? "standard input" : file;
        JsonElement root = JsonText.Parse(name, file == "-" ? terminal.Input.ReadToEnd() : File.ReadAllText(file));
        if (root.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{name}: holds a JSON {root.ValueKind}, an array is expected");
        return [.. root.EnumerateArray()];
    }
}
