using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Tells apart models whose states differ: by the checkpoint's files, how they were loaded, the device, and the build of kernels and
/// library. Of a weight file its name, length and both ends count, since reading all of it would take as long as loading.
/// </summary>
internal static class ModelFingerprint
{
    private const int EndBytes = 1 << 20;

    /// <summary>The fingerprint, in hexadecimal digits.</summary>
    /// <param name="directory">The checkpoint.</param>
    /// <param name="words">How it was loaded, and whatever else makes a difference.</param>
    public static string Of(string directory, params IEnumerable<string> words)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string word in words.Append(Build(typeof(QwenModel))).Append(Build(typeof(Launch))))
            hash.AppendData(Encoding.UTF8.GetBytes($"{word}\n"));
        Append(hash, directory);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The fingerprint of the checkpoint alone, wherever and however it is loaded.</summary>
    /// <param name="directory">The checkpoint.</param>
    public static string OfCheckpoint(string directory)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, directory);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append(IncrementalHash hash, string directory)
    {
        byte[] end = new byte[EndBytes];
        foreach (string file in Directory.GetFiles(directory, "*.safetensors").Append(Path.Combine(directory, "config.json")).Order(StringComparer.Ordinal))
        {
            using SafeFileHandle handle = CheckpointFile.Open(file);
            long length = RandomAccess.GetLength(handle);
            hash.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(file)} {length}\n"));
            hash.AppendData(end.AsSpan(0, CheckpointFile.ReadAt(handle, 0, end)));
            hash.AppendData(end.AsSpan(0, CheckpointFile.ReadAt(handle, Math.Max(0, length - EndBytes), end)));
        }
    }

    private static string Build(Type type) => type.Module.ModuleVersionId.ToString();
}
