using System.Globalization;

namespace QwenIlgpu;

/// <summary>Memory of the machine that this process may still take.</summary>
internal static class AvailableMemory
{
    private const string MemoryFile = "/proc/meminfo";

    /// <summary>What the system can give without swapping, and no more than the process is allowed.</summary>
    public static long Bytes() => Bytes(MemoryFile, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    /// <summary>
    /// The same from a file in the format of Linux's; <paramref name="allowedBytes"/>, which knows the limits of a container, where it
    /// says nothing.
    /// </summary>
    public static long Bytes(string memoryFile, long allowedBytes)
    {
        if (!File.Exists(memoryFile))
            return allowedBytes;
        foreach (string line in File.ReadLines(memoryFile))
        {
            // "MemAvailable:   24317444 kB"
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["MemAvailable:", var number, "kB"] && long.TryParse(number, CultureInfo.InvariantCulture, out long kilobytes))
                return Math.Min(kilobytes << 10, allowedBytes);
        }

        return allowedBytes;
    }
}
