using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// A conversation with what the engine's prefix cache holds of it, in a file that only its user can read: a line of JSON with the messages,
/// and behind it, if there is any, the cache and the SHA-256 of all before. Messages go with any model; a cache of another model, format or
/// build is left out.
/// </summary>
internal sealed class SessionFile(string path)
{
    private const string Format = "qwen-session";
    private const int Version = 1;
    private const int MostLineBytes = 1 << 28;
    private const UnixFileMode OfUser = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Whether there is a session to go on with.</summary>
    public bool Exists => FileKinds.Of(path) != FileKind.Missing;

    /// <summary>Refuses a file that cannot be written.</summary>
    public void RequireWritable() => OutputFile.Create(path, OfUser).Dispose();

    /// <summary>Writes the messages alone, as after each turn.</summary>
    public void Save(Conversation conversation)
    {
        using OutputFile file = OutputFile.Create(path, OfUser);
        file.Write(Line(conversation, null));
        file.Complete();
    }

    /// <summary>Writes the messages and what the engine holds.</summary>
    public async Task SaveAsync(Conversation conversation, Engine engine)
    {
        string fingerprint = engine.StateFingerprint;
        await engine.VisitPrefixesAsync(archive =>
        {
            using OutputFile file = OutputFile.Create(path, OfUser);
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            void Write(ReadOnlySpan<byte> bytes)
            {
                file.Write(bytes);
                hash.AppendData(bytes);
            }

            Write(Line(conversation, new JsonObject { ["bytes"] = archive.Bytes, ["of"] = fingerprint }));
            archive.Write(Write);
            file.Write(hash.GetHashAndReset());
            file.Complete();
        }).ConfigureAwait(false);
    }

    /// <summary>The instructions and turns of the file.</summary>
    /// <exception cref="InvalidDataException">The file is none of these, or holds what this version does not know.</exception>
    public (string? System, IReadOnlyList<Turn> Turns) LoadMessages()
    {
        using FileStream stream = Open();
        return ChatFile.Read(path, Parse(ReadLine(stream)));
    }

    /// <summary>Has the engine go on with the cache of the file; what is wrong with it costs time and not the chat.</summary>
    /// <returns>What there is to say of it; null where all is as it was.</returns>
    public async Task<string?> LoadCacheAsync(Engine engine)
    {
        await using FileStream stream = Open();
        byte[] line = ReadLine(stream);
        if (!Parse(line).TryGetProperty("cache", out JsonElement cache) || cache.ValueKind != JsonValueKind.Object)
            return null;
        if (!cache.TryGetProperty("of", out JsonElement of) || !of.ValueEquals(engine.StateFingerprint))
            return $"{path}: its cache is of another model, format or build of qwen, and is left out";
        if (!cache.TryGetProperty("bytes", out JsonElement given) || !given.TryGetInt64(out long bytes) || bytes < 0
            || stream.Length - stream.Position != bytes + SHA256.HashSizeInBytes)
        {
            return $"{path}: its cache is cut off, and is left out";
        }

        string? fault = null;
        await engine.VisitPrefixesAsync(archive => fault = Read(archive, stream, line, bytes)).ConfigureAwait(false);
        return fault;
    }

    // Nothing is kept of a cache that is not as it was written.
    private string? Read(PrefixArchive archive, FileStream stream, byte[] line, long bytes)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(line);
        string fault = $"{path}: its cache is damaged, and is left out";
        try
        {
            archive.Read(bytes, span =>
            {
                stream.ReadExactly(span);
                hash.AppendData(span);
            });
            byte[] sum = new byte[SHA256.HashSizeInBytes];
            stream.ReadExactly(sum);
            if (hash.GetHashAndReset().AsSpan().SequenceEqual(sum))
                return null;
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            fault += $" ({e.Message})";
        }

        archive.Clear();
        return fault;
    }

    private FileStream Open()
    {
        if (FileKinds.Of(path) != FileKind.Regular)
            throw new InvalidDataException($"{path}: is no regular file; --session takes one that qwen has written, or the name of a new one");
        return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
    }

    private byte[] ReadLine(FileStream stream)
    {
        using var line = new MemoryStream();
        for (int next = stream.ReadByte(); next >= 0; next = stream.ReadByte())
        {
            line.WriteByte((byte)next);
            if (next == '\n' || line.Length > MostLineBytes)
                break;
        }

        return line.ToArray();
    }

    private JsonElement Parse(byte[] line)
    {
        JsonText.RequireUtf8(path, line);
        return ChatFile.Parse(path, line, Format, Version, "messages", "cache");
    }

    private static byte[] Line(Conversation conversation, JsonObject? cache) => Encoding.UTF8.GetBytes(JsonOutput.LineOf(new JsonObject
    {
        ["format"] = Format,
        ["version"] = Version,
        ["messages"] = new JsonArray([.. conversation.Messages.Select(static m => m.ToJson())]),
        ["cache"] = cache,
    }) + "\n");
}
