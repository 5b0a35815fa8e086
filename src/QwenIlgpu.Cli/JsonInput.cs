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
    public static async Task<JsonElement[]> ReadAsync(string file, Terminal terminal, CancellationToken cancellation)
    {
        string name = TextInput.NameOf(file);
        JsonElement root = JsonText.Parse(name, await TextInput.ReadAsync(file, "--input", terminal, cancellation).ConfigureAwait(false));
        if (root.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{name}: holds a JSON {root.ValueKind}, an array is expected");
        return [.. root.EnumerateArray()];
    }
}
