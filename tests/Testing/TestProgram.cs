namespace QwenIlgpu.Testing;

/// <summary>
/// Runs the tests of one project without those of the category Exhaustive. <c>--exhaustive</c> runs all; so does a filter that names
/// that category or one test (<c>Name=</c>, <c>FullyQualifiedName=</c>), within what it selects.
/// </summary>
internal static class TestProgram
{
    private const string Category = "Exhaustive";

    public static Task<int> Main(string[] args) => MicrosoftTestingPlatformApplication.RunAsync(Select(args));

    /// <summary>The arguments for the test platform. Editors select tests by their ids (--client-port, --filter-uid) and get what they select.</summary>
    internal static string[] Select(string[] args)
    {
        if (args.Contains("--exhaustive"))
            return [.. args.Where(a => a != "--exhaustive")];
        if (args.Contains("--client-port") || args.Contains("--filter-uid"))
            return args;

        int option = Array.FindIndex(args, a => a == "--filter" || a.StartsWith("--filter=", StringComparison.Ordinal));
        if (option < 0)
            return [.. args, "--filter", $"TestCategory!={Category}"];
        bool joined = args[option] != "--filter";
        string filter = joined ? args[option]["--filter=".Length..] : args.ElementAtOrDefault(option + 1) ?? "";
        if (filter.Length == 0 || filter.Contains(Category, StringComparison.Ordinal) || filter.Contains("Name=", StringComparison.Ordinal))
            return args;
        return [.. args[..option], "--filter", $"({filter})&TestCategory!={Category}", .. args[(option + (joined ? 1 : 2))..]];
    }
}
