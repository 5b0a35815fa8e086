using System.Text;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>A text that an argument names: a file, or - for standard input.</summary>
internal static class TextInput
{
    // A quarter of what a string holds, and what stops a device that never ends.
    private const int MostCharacters = 1 << 28;

    /// <summary>What messages call it.</summary>
    public static string NameOf(string file) => file == "-" ? "standard input" : file;

    /// <summary>The file that is named, or where none is, - for what is piped in.</summary>
    public static string OrPiped(string? file, string argument, Terminal terminal) =>
        file ?? (terminal.InputIsTerminal ? throw new UsageException($"{argument} is missing, and nothing is piped in") : "-");

    /// <summary>A text that is given as an argument itself; without it, and for -, what is piped in.</summary>
    public static async Task<string> ReadArgumentAsync(string? text, string argument, Terminal terminal, CancellationToken cancellation)
    {
        string given = OrPiped(text, argument, terminal);
        if (given != "-")
            return given;
        string piped = await ReadAsync(given, argument, terminal, cancellation).ConfigureAwait(false);
        return piped.Length > 0 ? piped : throw new UsageException($"{argument} is missing: standard input is empty");
    }

    /// <summary>The whole text; a Ctrl-C waits for no terminal, pipe or FIFO that it comes from.</summary>
    /// <param name="file">A path or -.</param>
    /// <param name="argument">Who takes it, for messages.</param>
    /// <param name="terminal">Whose input it may be.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static Task<string> ReadAsync(string file, string argument, Terminal terminal, CancellationToken cancellation)
    {
        if (file == "-")
            return Task.Run(() => ReadAll(terminal.Input, file), cancellation).WaitAsync(cancellation);
        FileKind kind = FileKinds.Of(file);
        if (kind == FileKind.Missing)
            throw new FileNotFoundException($"{file}: no such file; {argument} takes a file, or - for standard input");
        if (kind == FileKind.Directory)
            throw new IOException($"{file} is a directory; {argument} takes a file, or - for standard input");
        return Task.Run(() => Read(file), cancellation).WaitAsync(cancellation);
    }

    private static string Read(string file)
    {
        using var reader = new StreamReader(file);
        return ReadAll(reader, file);
    }

    private static string ReadAll(TextReader reader, string file)
    {
        var text = new StringBuilder();
        char[] piece = new char[1 << 16];
        while (reader.Read(piece) is > 0 and int count)
        {
            if (text.Length + count > MostCharacters)
                throw new InvalidDataException($"{NameOf(file)}: holds more than {MostCharacters} characters, the most that are read");
            text.Append(piece, 0, count);
        }

        return text.ToString();
    }
}
