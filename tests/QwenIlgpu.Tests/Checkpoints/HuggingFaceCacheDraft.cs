namespace QwenIlgpu.Tests;

/// <summary>A Hugging Face cache in the making, as its own tools lay it out.</summary>
internal sealed class HuggingFaceCacheDraft : IDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TemporaryDirectory directory = new();

    public HuggingFaceCache Cache => new(directory.Path);

    /// <summary>The snapshot of <see cref="Commit"/>.</summary>
    public string Snapshot(string repository, string commit = Commit) => Path.Combine(ModelFolder(repository), "snapshots", commit);

    public string ModelFolder(string repository) => directory.File("models--" + repository.Replace("/", "--", StringComparison.Ordinal));

    /// <summary>A snapshot that a reference names, its files links into blobs or, as where there are no links, the files themselves.</summary>
    public void Add(string repository, IReadOnlyDictionary<string, string> files, bool links = true, string reference = "main", string commit = Commit)
    {
        string snapshot = Directory.CreateDirectory(Snapshot(repository, commit)).FullName;
        string blobs = Directory.CreateDirectory(Path.Combine(ModelFolder(repository), "blobs")).FullName;
        string file = Path.Combine(ModelFolder(repository), "refs", reference);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, commit);
        foreach ((string name, string content) in files)
        {
            string path = Path.Combine(snapshot, name);
            if (links)
            {
                File.WriteAllText(Path.Combine(blobs, $"blob-{name}"), content);
                File.CreateSymbolicLink(path, Path.Combine("..", "..", "blobs", $"blob-{name}"));
            }
            else
            {
                File.WriteAllText(path, content);
            }
        }
    }

    /// <summary>A whole model's files copied into a snapshot.</summary>
    public void AddModel(string repository, string model)
    {
        Add(repository, new Dictionary<string, string>());
        foreach (string file in Directory.GetFiles(model))
            File.Copy(file, Path.Combine(Snapshot(repository), Path.GetFileName(file)));
    }

    public void Dispose() => directory.Dispose();
}
