using System.Diagnostics;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Tests.Packages;

/// <summary>
/// What README's lines for packages leave behind, run as they stand there over a copy of the sources: a folder of packages, the installed
/// tool, a console project with the library in it. The copy has a git remote; nothing of the user's is changed.
/// </summary>
internal sealed partial class InstalledPackages : IDisposable
{
    public const string Remote = "https://github.com/some-org/qwenilgpu";
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private static readonly string[] RootFiles =
        ["README.md", "LICENSE", "NuGet.config", "global.json", "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", ".editorconfig"];

    private readonly TemporaryDirectory directory = new();

    public InstalledPackages()
    {
        foreach (string file in RootFiles)
            Copy(file);
        foreach (string folder in (string[])["kernels", "src"])
            CopyFolder(folder);
        WriteGit();
        Directory.CreateDirectory(UserFolder);
        Output = Run(Sources, ShellBlock().Matches(ReadmeTests.Readme).Select(m => m.Groups[1].Value).Single(b => b.StartsWith("dotnet pack", StringComparison.Ordinal)));
    }

    /// <summary>What the lines printed.</summary>
    public string Output { get; }

    /// <summary>The copy of the repository.</summary>
    public string Sources => directory.File("qwenilgpu");

    /// <summary>The console project.</summary>
    public string Project => directory.File("hello");

    public string Tool => Path.Combine(UserFolder, ".dotnet", "tools", "qwen");

    private string UserFolder => directory.File("user");

    /// <summary>The one package of this name.</summary>
    public string Package(string id) => Directory.GetFiles(Path.Combine(Sources, "artifacts"), $"{id}.*.nupkg").Single(f => char.IsAsciiDigit(Path.GetFileName(f)[id.Length + 1]));

    /// <summary>Runs a script in a folder and returns what it printed; fails the test if it fails.</summary>
    public string Run(string folder, string script, params string[] args)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-e", "-c", script, "sh", .. args])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        SetEnvironment(start.Environment);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.GetAwaiter().GetResult();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{script}\n{output}");
        return output;
    }

    public void Dispose() => directory.Dispose();

    private void SetEnvironment(IDictionary<string, string?> environment)
    {
        // Of a build that these tests may run in.
        foreach (string name in environment.Keys.Where(k => k.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            environment.Remove(name);

        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

        // The packages of others that the user has fetched, but none of ours.
        if (Directory.Exists(packages) && !Directory.EnumerateDirectories(packages, "qwenilgpu*").Any())
            environment["NUGET_FALLBACK_PACKAGES"] = packages;
        environment["NUGET_PACKAGES"] = directory.File("packages");
        environment["DOTNET_CLI_HOME"] = UserFolder;
        environment["DOTNET_ADD_GLOBAL_TOOLS_TO_PATH"] = "false";
        environment["DOTNET_GENERATE_ASPNET_CERTIFICATE"] = "false";
        environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = environment["DOTNET_NOLOGO"] = "1";

        // An advisory published tomorrow is none of these tests' business.
        environment["NuGetAudit"] = "false";

        // No server stays behind that would hold on to the output.
        environment["MSBUILDDISABLENODEREUSE"] = "1";
        environment["UseSharedCompilation"] = "false";
    }

    private void Copy(string file)
    {
        string target = Path.Combine(Sources, file);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.Copy(Repository.PathTo(file), target);
    }

    private void CopyFolder(string folder)
    {
        foreach (string file in Directory.GetFiles(Repository.PathTo(folder)))
            Copy(Path.Combine(folder, Path.GetFileName(file)));
        foreach (string inner in Directory.GetDirectories(Repository.PathTo(folder)).Select(f => Path.GetFileName(f)).Where(f => f is not ("bin" or "obj")))
            CopyFolder(Path.Combine(folder, inner));
    }

    // All that the build reads of a repository, so that no git is needed.
    private void WriteGit()
    {
        string git = Path.Combine(Sources, ".git");
        Directory.CreateDirectory(Path.Combine(git, "objects"));
        Directory.CreateDirectory(Path.Combine(git, "refs", "heads"));
        File.WriteAllText(Path.Combine(git, "HEAD"), "ref: refs/heads/main\n");
        File.WriteAllText(Path.Combine(git, "refs", "heads", "main"), Commit + "\n");
        File.WriteAllText(Path.Combine(git, "config"), $"[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = {Remote}.git\n");
    }

    [GeneratedRegex("```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ShellBlock();
}
