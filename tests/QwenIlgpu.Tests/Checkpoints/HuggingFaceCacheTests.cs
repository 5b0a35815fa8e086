namespace QwenIlgpu.Tests;

/// <summary>Repositories found in a Hugging Face cache, and what is said where they are not or not whole.</summary>
internal sealed class HuggingFaceCacheTests
{
    private const string Repo = "Some-Org/Tiny_1.0";
    private const string Other = "89abcdef0123456789abcdef0123456789abcdef";

    private static readonly Dictionary<string, string> Whole = new()
    {
        ["config.json"] = "{}",
        ["tokenizer.json"] = "{}",
        ["model.safetensors.index.json"] =
            """{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}""",
        ["model-00001-of-00002.safetensors"] = "1",
        ["model-00002-of-00002.safetensors"] = "2",
    };

    private HuggingFaceCacheDraft draft = null!;

    [SetUp]
    public void CreateCache() => draft = new HuggingFaceCacheDraft();

    [TearDown]
    public void DeleteCache() => draft.Dispose();

    [TestCase(false)]
    [TestCase(true)]
    public void FindsTheSnapshotThatMainNames(bool links)
    {
        if (links && OperatingSystem.IsWindows())
            Assert.Ignore("links need a right on Windows");
        draft.Add(Repo, Whole, links);
        draft.Add(Repo, new Dictionary<string, string>(), links, "old", Other);

        Assert.That(draft.Cache.Find(Repo), Is.EqualTo(draft.Snapshot(Repo)));
    }

    [Test]
    public void FindsABranchATagAPullRequestAndACommit()
    {
        foreach (string reference in (string[])["v1.0", "refs/pr/3"])
            draft.Add(Repo, Whole, links: false, reference);

        foreach (string revision in (string[])["v1.0", "refs/pr/3", HuggingFaceCacheDraft.Commit])
            Assert.That(draft.Cache.Find($"{Repo}@{revision}"), Is.EqualTo(draft.Snapshot(Repo)), revision);
    }

    [Test]
    public void OneFileOfWeightsNeedsNoIndex()
    {
        draft.Add(Repo, new Dictionary<string, string> { ["config.json"] = "{}", ["model.safetensors"] = "1" }, links: false);

        Assert.That(draft.Cache.Find(Repo), Is.EqualTo(draft.Snapshot(Repo)));
    }

    [Test]
    public void SaysHowToFetchWhatIsNotThere()
    {
        Assert.That(Refuses<DirectoryNotFoundException>(Repo), Is.EqualTo(
            $"the Hugging Face cache, {draft.Cache.Folder}, does not hold {Repo}; to fetch it: hf download {Repo} (formerly huggingface-cli download)"));
        draft.Add(Repo, Whole, links: false);
        Assert.That(Refuses<DirectoryNotFoundException>($"{Repo}@v2"), Does.Contain($"does not hold {Repo}@v2; to fetch it: hf download {Repo} --revision v2 ("));
        Assert.That(Refuses<DirectoryNotFoundException>($"{Repo}@{Other}"), Does.Contain($"--revision {Other} ("));
    }

    [TestCase("config.json", "config.json is missing")]
    [TestCase("model", "model.safetensors is missing, and model.safetensors.index.json as well")]
    [TestCase("model-00002-of-00002.safetensors", "model-00002-of-00002.safetensors is missing (1 of 2 files of weights are)")]
    public void NamesWhatADownloadThatBrokeOffHasLeftOut(string file, string fault)
    {
        draft.Add(Repo, Whole.Where(f => f.Key != file && f.Key.Split('.', '-')[0] != file).ToDictionary(), links: false);

        Assert.That(Refuses<InvalidDataException>(Repo), Is.EqualTo(
            $"{draft.Snapshot(Repo)}: {fault}; to fetch the rest: hf download {Repo} (formerly huggingface-cli download)"));
    }

    [Test]
    public void NumberedFilesNeedNoIndexOnceTheyAreThere()
    {
        draft.Add(Repo, Whole.Where(f => f.Key != "model.safetensors.index.json").ToDictionary(), links: false);
        Assert.That(draft.Cache.Find(Repo), Is.EqualTo(draft.Snapshot(Repo)));

        File.WriteAllText(Path.Combine(draft.ModelFolder(Repo), "blobs", "abc.incomplete"), "");

        Assert.That(Refuses<InvalidDataException>(Repo), Does.Contain("model.safetensors.index.json as well, and a download has not ended"));
    }

    [Test]
    public void SaysThatADownloadHasNotEnded()
    {
        draft.Add(Repo, Whole.Where(f => f.Key != "tokenizer.json").ToDictionary(), links: false);
        Assert.That(draft.Cache.Find(Repo), Is.EqualTo(draft.Snapshot(Repo)), "a tokenizer that never was there");

        File.WriteAllText(Path.Combine(draft.ModelFolder(Repo), "blobs", "abc.incomplete"), "");

        Assert.That(Refuses<InvalidDataException>(Repo), Does.Contain("tokenizer.json is missing, and a download has not ended; to fetch the rest: hf download"));
    }

    [Test]
    [Platform("Linux")]
    public void ALinkWithoutItsBlobIsMissing()
    {
        draft.Add(Repo, Whole);
        File.Delete(Path.Combine(draft.ModelFolder(Repo), "blobs", "blob-model-00001-of-00002.safetensors"));

        Assert.That(Refuses<InvalidDataException>(Repo), Does.Contain("model-00001-of-00002.safetensors is missing (1 of 2"));
    }

    [Test]
    public void RefusesGgufByName()
    {
        Assert.That(Refuses<NotSupportedException>("org/Tiny-GGUF"), Does.StartWith("org/Tiny-GGUF: GGUF is not supported; supported: safetensors in F32"));
        draft.Add(Repo, new Dictionary<string, string> { ["tiny-q4.gguf"] = "GGUF" }, links: false);
        Assert.That(Refuses<NotSupportedException>(Repo), Does.Contain("tiny-q4.gguf: GGUF is not supported"));
    }

    [TestCase("../../../etc")]
    [TestCase("..\n")]
    [TestCase("")]
    public void AReferenceThatIsNoCommitIsRefused(string content)
    {
        draft.Add(Repo, Whole, links: false);
        File.WriteAllText(Path.Combine(draft.ModelFolder(Repo), "refs", "main"), content);

        Assert.That(Refuses<InvalidDataException>(Repo), Does.Contain("a commit is expected"));
    }

    [TestCase("Qwen/Qwen3.6-27B", true)]
    [TestCase("Qwen/Qwen3.6-27B@main", true)]
    [TestCase("Qwen/Qwen3.6-27B@refs/pr/1", true)]
    [TestCase("Qwen3.6-27B", false)]
    [TestCase("/models/Qwen", false)]
    [TestCase("./models", false)]
    [TestCase("../models", false)]
    [TestCase("a/..", false)]
    [TestCase("a/b/c", false)]
    [TestCase("a/b/", false)]
    [TestCase(@"C:\models", false)]
    [TestCase("a/b@", false)]
    [TestCase("a/b@../c", false)]
    [TestCase("a/b\n", false)]
    [TestCase("", false)]
    public void KnowsTheFormOfARepository(string text, bool isRepository)
    {
        Assert.That(HuggingFaceCache.IsRepository(text), Is.EqualTo(isRepository));
        if (!isRepository)
            Assert.That(() => draft.Cache.Find(text), Throws.ArgumentException.With.Message.Contains("ORG/NAME"));
    }

    [TestCase("", "/home/u/.cache/huggingface/hub")]
    [TestCase("XDG_CACHE_HOME=/xdg", "/xdg/huggingface/hub")]
    [TestCase("HF_HOME=/hf|XDG_CACHE_HOME=/xdg", "/hf/hub")]
    [TestCase("HF_HUB_CACHE=/hub|HF_HOME=/hf|XDG_CACHE_HOME=/xdg", "/hub")]
    [TestCase("HF_HUB_CACHE=|HF_HOME=~/hf", "/home/u/hf/hub")]
    [TestCase("HF_HUB_CACHE=~", "/home/u")]
    [Platform("Linux,MacOsX")]
    public void TheEnvironmentNamesTheCache(string variables, string folder)
    {
        Dictionary<string, string> environment = variables.Split('|', StringSplitOptions.RemoveEmptyEntries)
            .Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);

        Assert.That(HuggingFaceCache.Of(environment.GetValueOrDefault, "/home/u").Folder, Is.EqualTo(folder));
    }

    private string Refuses<T>(string repository)
        where T : Exception => Assert.Throws<T>(() => draft.Cache.Find(repository))!.Message;
}
