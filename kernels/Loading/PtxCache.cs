using System.Security.Cryptography;
using System.Text;

namespace QwenIlgpu.Kernels;

/// <summary>
/// PTX texts on disk, one file each, led by a comment with the checksum of the rest. It is an accelerator only: a directory that
/// is null, missing or read-only and a file that is damaged are the same as an empty cache. Processes may share it.
/// </summary>
internal sealed class PtxCache(string? directory)
{
    private const string Header = "// sha256 ";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The text stored under this key, or null.</summary>
    public string? Find(PtxKey key)
    {
        if (directory is null)
            return null;
        try
        {
            string content = File.ReadAllText(FileOf(directory, key), Encoding.UTF8);
            int end = content.IndexOf('\n', StringComparison.Ordinal);
            if (end < 0)
                return null;
            string text = content[(end + 1)..];
            return content.AsSpan(0, end).SequenceEqual(HeaderOf(text)) ? text : null;
        }
        catch (Exception e) when (IsFileTrouble(e))
        {
            return null;
        }
    }

    /// <summary>Stores a text, replacing what is there; a reader sees all of it or none.</summary>
    public void Store(PtxKey key, string text)
    {
        if (directory is null)
            return;
        string? unfinished = null;
        try
        {
            CreateDirectory(directory);
            string file = FileOf(directory, key);
            unfinished = $"{file}.{Environment.ProcessId}.{Guid.NewGuid():N}";
            File.WriteAllText(unfinished, $"{HeaderOf(text)}\n{text}", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
            File.Move(unfinished, file, overwrite: true);
        }
        catch (Exception e) when (IsFileTrouble(e))
        {
            TryDelete(unfinished);
        }
    }

    private static string FileOf(string directory, PtxKey key) => Path.Combine(directory, key.Hash + ".ptx");

    private static string HeaderOf(string text) => Header + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static void CreateDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, OwnerOnly);
    }

    private static void TryDelete(string? file)
    {
        try
        {
            if (file is not null)
                File.Delete(file);
        }
        catch (Exception e) when (IsFileTrouble(e))
        {
            // What could not be written can often not be deleted either; nothing reads it.
        }
    }

    private static bool IsFileTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException or System.Security.SecurityException;
}
