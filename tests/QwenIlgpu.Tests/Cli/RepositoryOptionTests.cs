using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>--model with a repository's name, and with what is no checkpoint at all.</summary>
internal sealed class RepositoryOptionTests
{
    private const string Repo = "some-org/tiny";

    [Test]
    public void TheHuggingFaceCacheHoldsTheModel()
    {
        using var draft = new HuggingFaceCacheDraft();
        draft.AddModel(Repo, TestData.TinyModel);

        foreach (string model in (string[])[Repo, $"{Repo}@main", $"{Repo}@{HuggingFaceCacheDraft.Commit}"])
        {
            CommandLine run = CommandLine.RunWithCache(draft.Cache, "info", "--json", "--model", model).Expect(ExitCode.Done);

            Assert.That(run.Json.GetProperty("model").GetString(), Is.EqualTo(draft.Snapshot(Repo)));
        }
    }

    [Test]
    [Platform("Linux")]
    public void TheEnvironmentOfTheProcessNamesTheCache()
    {
        QwenProcess.Require();
        using var draft = new HuggingFaceCacheDraft();
        draft.AddModel(Repo, TestData.TinyModel);

        QwenProcess run = QwenProcess.RunScript(draft.Cache.Folder, "HF_HUB_CACHE=$PWD exec \"$0\" \"$@\"", "info", "--json", "--model", Repo);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Done), run.Error);
        Assert.That(run.Output, Does.Contain(draft.Snapshot(Repo)));
    }

    [Test]
    public void ARepositoryThatIsNotThereIsSaidToBeFetched()
    {
        using var draft = new HuggingFaceCacheDraft();

        CommandLine run = CommandLine.RunWithCache(draft.Cache, "generate", "hi", "--model", Repo).Expect(ExitCode.Failed);

        Assert.That(run.Error.TrimEnd(), Is.EqualTo(
            $"qwen: {Repo}: no such directory, and the Hugging Face cache, {draft.Cache.Folder}, does not hold {Repo}; "
            + $"to fetch it: hf download {Repo} (formerly huggingface-cli download)"));
    }

    // Names without a leading dot are relative to where the process runs, which is the same for all tests.
    [Test]
    public void ADirectoryOfThatNameComesFirst()
    {
        string org = $"org{Guid.NewGuid():N}";
        Directory.CreateDirectory(Path.Combine(org, "tiny"));
        try
        {
            CommandLine run = CommandLine.Run("info", "--model", $"{org}/tiny").Expect(ExitCode.Failed);

            Assert.That(run.Error, Does.Contain($"{org}/tiny: holds no config.json"));
        }
        finally
        {
            Directory.Delete(org, recursive: true);
        }
    }

    [TestCase("no/such/tiny.gguf")]
    [TestCase("org/tiny.GGUF")]
    public void AGgufFileIsNamedAsSuch(string model) => Assert.That(
        CommandLine.Run("info", "--model", model).Expect(ExitCode.Failed).Error,
        Does.StartWith($"qwen: {model}: GGUF is not supported; supported: safetensors in F32, F16 or BF16"));

    [TestCase(false)]
    [TestCase(true)]
    public void ADirectoryOfGgufFilesIsNamedAsSuch(bool withConfig)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("tiny.gguf"), "GGUF");
        if (withConfig)
            File.Copy(Path.Combine(TestData.TinyModel, "config.json"), directory.File("config.json"));

        Assert.That(
            CommandLine.Run("info", "--model", directory.Path).Expect(ExitCode.Failed).Error,
            Does.StartWith($"qwen: {directory.File("tiny.gguf")}: GGUF is not supported"));
    }
}
