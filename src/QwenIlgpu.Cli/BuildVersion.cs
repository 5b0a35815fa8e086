using System.Reflection;

namespace QwenIlgpu.Cli;

/// <summary>Version and commit that this program was built from.</summary>
internal static class BuildVersion
{
    private static string Informational =>
        typeof(BuildVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public static string Version => Informational.Split('+')[0];

    /// <summary>The commit; "unknown" in a build outside a repository.</summary>
    public static string Commit => Informational.Split('+') is [_, var commit] ? commit : "unknown";
}
