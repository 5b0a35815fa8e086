using System.CommandLine;
using System.Text.Json;

namespace QwenIlgpu.Cli;

/// <summary>The --input of the commands that compare with other implementations: a JSON array from a file or standard input.</summary>
internal static class JsonInput
{
    /// <summary>The option; <paramref name="what"/> says what the array holds.</summary>
    public static Option<string?> Create(string what) => new("--input")
    {
        Description = $"File with a JSON array of {what}; - reads standard input.",
        HelpName = "FILE",
        Arity = ArgumentArity.ExactlyOne,
    };

    /// <summary>The items of the array, or where the option is not given, the one text that stands for them.</summary>
    public static async Task<JsonElement[]> ReadAsync(
        string? file, string? text, Func<string, JsonElement> itemOf, Terminal terminal, CancellationToken cancellation)
    {
        if (file is not null && text is not null)
            throw new UsageException("TEXT and --input exclude each other; --input takes a file of many texts");
        return file is not null
            ? await ReadAsync(file, terminal, cancellation).ConfigureAwait(false)
            : [itemOf(await TextInput.ReadArgumentAsync(text, "TEXT", terminal, cancellation).ConfigureAwait(false))];
    }

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
