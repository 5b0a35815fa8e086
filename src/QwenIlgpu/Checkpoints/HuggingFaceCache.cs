using System.Text;
using System.Text.RegularExpressions;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The folder into which <c>hf download ORG/NAME</c> and other tools of Hugging Face put repositories: found, looked into, never written to.
/// </summary>
/// <example>
/// <code>
/// string directory = HuggingFaceCache.OfEnvironment().Find("Qwen/Qwen3.6-27B");
/// await using QwenModel model = await QwenModel.LoadAsync(directory);
/// </code>
/// </example>
/// <param name="folder">The folder; it need not exist.</param>
public sealed partial class HuggingFaceCache(string folder)
{
    private const string DefaultRevision = "main";
    private const long MaxRefBytes = 1024;

    /// <summary>The folder that holds a folder <c>models--ORG--NAME</c> for each model.</summary>
    public string Folder { get; } = folder;

    /// <summary>
    /// The cache that this process's environment names: <c>HF_HUB_CACHE</c>, else <c>hub</c> in <c>HF_HOME</c>, in
    /// <c>XDG_CACHE_HOME/huggingface</c> or in <c>.cache/huggingface</c> of the user's folder.
    /// </summary>
    public static HuggingFaceCache OfEnvironment() => Of(
        Environment.GetEnvironmentVariable, Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify));

    /// <summary>Whether a text has the form of a repository's name, <c>ORG/NAME</c> or <c>ORG/NAME@REVISION</c>.</summary>
    /// <param name="text">The text; a path with more or fewer parts, or with one of dots alone, is none.</param>
    public static bool IsRepository(string text) => Repository().IsMatch(text);

    /// <summary>The directory of a repository's files, complete as far as its own index tells.</summary>
    /// <param name="repository"><c>ORG/NAME</c>, or <c>ORG/NAME@REVISION</c> for a branch, a tag or a commit other than the newest of <c>main</c>.</param>
    /// <returns>The directory, to be handed to <see cref="QwenModel.LoadAsync"/>.</returns>
    /// <exception cref="ArgumentException">The text is not the name of a repository.</exception>
    /// <exception cref="DirectoryNotFoundException">The cache does not hold it; the message has the command that fetches it.</exception>
    /// <exception cref="InvalidDataException">It is there in part only; the message names what is missing and the command that fetches the rest.</exception>
    /// <exception cref="NotSupportedException">It is a repository of GGUF files.</exception>
    public string Find(string repository)
    {
        ArgumentNullException.ThrowIfNull(repository);
        Match match = Repository().Match(repository);
        if (!match.Success)
            throw new ArgumentException($"\"{repository}\" is not a repository; its form is ORG/NAME or ORG/NAME@REVISION", nameof(repository));
        string name = match.Groups["name"].Value;
        string? revision = match.Groups["revision"] is { Success: true, Value: var given } ? given : null;
        string fetch = $"hf download {name}{(revision is null ? "" : $" --revision {revision}")}";

        string model = Path.Combine(Folder, "models--" + name.Replace("/", "--", StringComparison.Ordinal));
        string? commit = CommitOf(model, revision ?? DefaultRevision);
        string? snapshot = commit is null ? null : Path.Combine(model, "snapshots", commit);
        if (snapshot is null || !Directory.Exists(snapshot))
        {
            if (name.EndsWith("GGUF", StringComparison.OrdinalIgnoreCase))
                throw WeightFormats.GgufRefused(name);
            throw new DirectoryNotFoundException(
                $"the Hugging Face cache, {Folder}, does not hold {repository}; to fetch it: {fetch} (formerly huggingface-cli download)");
        }

        bool isBeingFetched = IsBeingFetched(model);
        if (Missing(snapshot, isBeingFetched) is { } missing)
        {
            if (WeightFormats.GgufIn(snapshot) is { } gguf)
                throw WeightFormats.GgufRefused(gguf);
            throw new InvalidDataException(
                $"{snapshot}: {missing}{(isBeingFetched ? ", and a download has not ended" : "")}; to fetch the rest: {fetch} (formerly huggingface-cli download)");
        }

        return snapshot;
    }

    /// <summary>The cache that an environment names; an empty variable counts as none.</summary>
    internal static HuggingFaceCache Of(Func<string, string?> variable, string userFolder)
    {
        string? Named(string name) => variable(name) is { Length: > 0 } value ? Path.GetFullPath(ExpandHome(value, userFolder)) : null;
        string home = Named("HF_HOME") ?? Path.Combine(Named("XDG_CACHE_HOME") ?? Path.Combine(userFolder, ".cache"), "huggingface");
        return new HuggingFaceCache(Named("HF_HUB_CACHE") ?? Path.Combine(home, "hub"));
    }

    private static string ExpandHome(string path, string userFolder) =>
        path == "~" ? userFolder : path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(userFolder, path[2..]) : path;

    // A branch or a tag is a file that holds its commit; a commit stands for itself.
    private static string? CommitOf(string model, string revision)
    {
        string file = Path.Combine([model, "refs", .. revision.Split('/')]);
        if (!File.Exists(file))
            return Commit().IsMatch(revision) ? revision : null;
        string commit = Encoding.UTF8.GetString(CheckpointFile.ReadText(file, MaxRefBytes)).Trim();
        return Commit().IsMatch(commit) ? commit : throw new InvalidDataException($"{file}: holds \"{JsonText.Shown(commit)}\", a commit is expected");
    }

    // What a checkpoint must have, and what its index lists. A link whose blob has not come yet counts as missing. Commands that run without
    // a tokenizer do so, unless it is on its way.
    private static string? Missing(string snapshot, bool isBeingFetched)
    {
        foreach (string needed in (string[])["config.json", .. isBeingFetched ? (string[])["tokenizer.json"] : []])
        {
            if (!IsThere(snapshot, needed))
                return $"{needed} is missing";
        }

        if (!IsThere(snapshot, TensorFiles.IndexFile) && !isBeingFetched && TensorFiles.HasUnlistedParts(snapshot))
            return null;
        if (!IsThere(snapshot, TensorFiles.IndexFile))
            return IsThere(snapshot, TensorFiles.SingleFile) ? null : $"{TensorFiles.SingleFile} is missing, and {TensorFiles.IndexFile} as well";
        IReadOnlyList<string> shards = ShardIndex.Load(Path.Combine(snapshot, TensorFiles.IndexFile)).Shards;
        string[] absent = [.. shards.Where(shard => !IsThere(snapshot, shard))];
        return absent.Length == 0 ? null : $"{absent[0]} is missing ({absent.Length} of {shards.Count} files of weights are)";
    }

    // A link to nothing would count for File.Exists.
    private static bool IsThere(string directory, string name) => FileKinds.Of(Path.Combine(directory, name)) != FileKind.Missing;

    private static bool IsBeingFetched(string model)
    {
        string blobs = Path.Combine(model, "blobs");
        return Directory.Exists(blobs) && Directory.EnumerateFiles(blobs, "*.incomplete").Any();
    }

    [GeneratedRegex(@"^(?<name>[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*)(@(?<revision>[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*))?\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Repository();

    [GeneratedRegex(@"^[0-9a-f]{40}\z")]
    private static partial Regex Commit();
}
