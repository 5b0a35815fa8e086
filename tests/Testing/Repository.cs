using System.Runtime.CompilerServices;

namespace QwenIlgpu.Testing;

/// <summary>The sources that the tests were built from; a published run has none beside it.</summary>
internal static class Repository
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(SourceFile())!, "..", ".."));

    /// <summary>A file or folder by its path from the repository's root.</summary>
    public static string PathTo(params ReadOnlySpan<string> parts) => Path.Combine([Root, .. parts]);

    private static string SourceFile([CallerFilePath] string path = "") => path;
}
