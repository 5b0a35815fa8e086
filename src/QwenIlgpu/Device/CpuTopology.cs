using System.Globalization;

namespace QwenIlgpu;

/// <summary>The processor as Linux describes it: its name, and the cores among the CPUs that this process may run on.</summary>
internal static class CpuTopology
{
    private const string CpuDirectory = "/sys/devices/system/cpu";
    private const string StatusFile = "/proc/self/status";
    private const string ModelFile = "/proc/cpuinfo";

    // CPUs of one list in a file; more are taken for a fault of the file.
    private const int MaxCpus = 1 << 16;

    /// <summary>Physical cores that this process has, so many threads at most as its CPUs and its share of their time allow.</summary>
    public static int PhysicalCores() => PhysicalCores(CpuDirectory, StatusFile, Environment.ProcessorCount);

    /// <summary>
    /// The same from files. Two hardware threads of a core share its vector units, so the second adds little; <paramref name="processors"/>,
    /// which knows affinity and quota but not cores, is the answer where the files say nothing.
    /// </summary>
    public static int PhysicalCores(string cpuDirectory, string statusFile, int processors)
    {
        var cores = new HashSet<string>(StringComparer.Ordinal);
        foreach (int cpu in AllowedCpus(statusFile))
        {
            // A CPU that may be used need not be there.
            string siblings = Path.Combine(cpuDirectory, string.Create(CultureInfo.InvariantCulture, $"cpu{cpu}"), "topology", "thread_siblings_list");
            if (ReadText(siblings) is { } core)
                cores.Add(core.Trim());
        }

        return cores.Count == 0 ? processors : Math.Min(cores.Count, processors);
    }

    /// <summary>What the maker calls the processor; null where nothing says.</summary>
    public static string? ModelName() => ValueOf(ModelFile, "model name");

    // "Cpus_allowed_list:	0-3,8,10-11"
    private static IEnumerable<int> AllowedCpus(string statusFile)
    {
        foreach (string range in (ValueOf(statusFile, "Cpus_allowed_list") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] ends = range.Split('-');
            if (!int.TryParse(ends[0], CultureInfo.InvariantCulture, out int first) || !int.TryParse(ends[^1], CultureInfo.InvariantCulture, out int last))
                yield break;
            for (int cpu = first; cpu <= Math.Min(last, first + MaxCpus); cpu++)
                yield return cpu;
        }
    }

    // Of lines "name : value", the value of the first with that name.
    private static string? ValueOf(string file, string name) =>
        ReadText(file)?.Split('\n').Select(line => line.Split(':', 2)).FirstOrDefault(parts => parts.Length == 2 && parts[0].Trim() == name)?[1].Trim();

    private static string? ReadText(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllText(file) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
