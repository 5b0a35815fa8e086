using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Faults to be planted in the text of one kernel; the other kernels of a run stay as they are.</summary>
internal static class PtxEdit
{
    /// <summary>Every match of a pattern replaced; there is one at least.</summary>
    public static Func<string, string> Of(string kernel, string pattern, string replacement) => text =>
    {
        if (!IsOf(kernel, text))
            return text;
        Assert.That(text, Does.Match(pattern), $"{kernel} has nothing to replace");
        return Regex.Replace(text, pattern, replacement);
    };

    /// <summary>For every match of a pattern in the kernel that a run loads: that one replaced.</summary>
    public static Func<string, string>[] OneByOne(string kernel, string pattern, string replacement, Action run)
    {
        string text = "";
        MachineDevice.Edited(t => IsOf(kernel, t) ? text = t : t, run);
        Match[] matches = [.. Regex.Matches(text, pattern).Cast<Match>()];
        Assert.That(matches, Is.Not.Empty, $"{kernel} has nothing to replace");
        return Array.ConvertAll(matches, m => (Func<string, string>)(t => IsOf(kernel, t)
            ? text[..m.Index] + m.Result(replacement) + text[(m.Index + m.Length)..]
            : t));
    }

    private static bool IsOf(string kernel, string text) => text.Contains($".entry {kernel}(", StringComparison.Ordinal);
}
