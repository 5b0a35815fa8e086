namespace QwenIlgpu.Cli.Chat;

/// <summary>Where what a user would miss between runs is kept: <c>qwenilgpu</c> in the user's state folder.</summary>
internal static class StateDirectory
{
    private const string Below = "qwenilgpu";

    /// <summary>
    /// Under <c>$XDG_STATE_HOME</c> where it is set and absolute, as its specification asks; else under <c>~/.local/state</c>, on Windows
    /// <c>%LOCALAPPDATA%</c>. Null where the user has none.
    /// </summary>
    public static string? Of(string? xdgStateHome)
    {
        if (Path.IsPathFullyQualified(xdgStateHome ?? ""))
            return Path.Combine(xdgStateHome!, Below);
        Environment.SpecialFolder kind = OperatingSystem.IsWindows()
            ? Environment.SpecialFolder.LocalApplicationData : Environment.SpecialFolder.UserProfile;
        string folder = Environment.GetFolderPath(kind, Environment.SpecialFolderOption.DoNotVerify);
        if (folder.Length == 0)
            return null;
        return OperatingSystem.IsWindows() ? Path.Combine(folder, Below) : Path.Combine(folder, ".local", "state", Below);
    }
}
