namespace QwenIlgpu;

/// <summary>Where compiled kernels are kept between runs: <c>qwenilgpu/ptx</c> in the user's cache folder.</summary>
internal static class KernelCacheDirectory
{
    private static readonly string Below = Path.Combine("qwenilgpu", "ptx");

    /// <summary>Under the platform's cache folder; null where the user has none.</summary>
    public static string? OfPlatform()
    {
        string folder = OperatingSystem.IsWindows()
            ? Folder(Environment.SpecialFolder.LocalApplicationData)
            : Folder(Environment.SpecialFolder.UserProfile);
        if (folder.Length == 0)
            return null;
        string cache = OperatingSystem.IsWindows() ? folder
            : OperatingSystem.IsMacOS() ? Path.Combine(folder, "Library", "Caches")
            : Path.Combine(folder, ".cache");
        return Path.Combine(cache, Below);
    }

    /// <summary>Under <c>$XDG_CACHE_HOME</c> where it is set and absolute, as its specification asks; else the platform's.</summary>
    public static string? Of(string? xdgCacheHome) =>
        Path.IsPathFullyQualified(xdgCacheHome ?? "") ? Path.Combine(xdgCacheHome!, Below) : OfPlatform();

    private static string Folder(Environment.SpecialFolder folder) =>
        Environment.GetFolderPath(folder, Environment.SpecialFolderOption.DoNotVerify);
}
