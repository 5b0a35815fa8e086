using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace QwenIlgpu.Tests.Packages;

/// <summary>The packages, made and used as README says: what they hold, and that strangers can run them.</summary>
[Category("Exhaustive")]
[Platform("Linux,MacOsX", Reason = "README's lines are for sh")]
[NonParallelizable]
internal sealed partial class PackageTests
{
    private const string Question = "What is the capital of Norway?";
    private static readonly Guid SourceLink = new("CC110556-A091-4D38-9FEC-25AB9A351A6A");

    private InstalledPackages installed = null!;

    [OneTimeSetUp]
    public void Install()
    {
        if (!Directory.Exists(Repository.PathTo("src")))
            Assert.Ignore("the sources are not beside the tests (published run)");
        installed = new InstalledPackages();
    }

    [OneTimeTearDown]
    public void Delete() => installed?.Dispose();

    [Test]
    public void NothingWarns() => Assert.That(installed.Output, Does.Not.Contain("warning").IgnoreCase);

    [TestCase("QwenIlgpu", "lib/net10.0/QwenIlgpu.dll", "lib/net10.0/QwenIlgpu.Kernels.dll", "lib/net10.0/QwenIlgpu.xml")]
    [TestCase("QwenIlgpu.Cli", "tools/net10.0/any/qwen.dll", "tools/net10.0/any/models/tiny-qwen3.6/model.safetensors", "THIRD-PARTY-NOTICES.txt")]
    public void HoldsItsFilesTheReadmeAndTheLicences(string id, params string[] files)
    {
        using ZipArchive package = Open(id);

        Assert.That(package.Entries.Select(e => e.FullName), Is.SupersetOf(files));
        Assert.That(Text(package, "README.md"), Is.EqualTo(ReadmeTests.Readme));
        Assert.That(Text(package, "LICENSE"), Does.Contain("Apache License"));
        Assert.That(Text(package, "UNICODE-LICENSE.txt"), Does.Contain("Unicode, Inc."));
    }

    [TestCase("QwenIlgpu")]
    [TestCase("QwenIlgpu.Cli")]
    public void NamesWhatItIsAndWhereItComesFrom(string id)
    {
        using ZipArchive package = Open(id);
        XElement metadata = XDocument.Parse(Text(package, $"{id}.nuspec")).Root!.Elements().Single(e => e.Name.LocalName == "metadata");
        XElement Named(string name) => metadata.Elements().Single(e => e.Name.LocalName == name);

        foreach (string name in (string[])["id", "version", "authors", "description", "copyright", "tags", "readme"])
            Assert.That(Named(name).Value, Is.Not.Empty, name);
        Assert.That(Named("license").Value, Is.EqualTo("Apache-2.0 AND Unicode-DFS-2015"));
        Assert.That(
            ((string?)Named("repository").Attribute("url"), (string?)Named("repository").Attribute("commit")),
            Is.EqualTo((InstalledPackages.Remote + ".git", InstalledPackages.Commit)));
    }

    [TestCase("QwenIlgpu", "QwenIlgpu.dll")]
    [TestCase("QwenIlgpu", "QwenIlgpu.Kernels.dll")]
    [TestCase("QwenIlgpu.Cli", "qwen.dll")]
    public void AssembliesHoldSymbolsThatLeadToTheSources(string id, string assembly)
    {
        using ZipArchive package = Open(id);
        var bytes = new MemoryStream();
        using (Stream stored = package.Entries.Single(e => e.Name == assembly).Open())
            stored.CopyTo(bytes);
        using var image = new PEReader(new MemoryStream(bytes.ToArray()));
        DebugDirectoryEntry embedded = image.ReadDebugDirectory().Single(e => e.Type == DebugDirectoryEntryType.EmbeddedPortablePdb);
        using MetadataReaderProvider symbols = image.ReadEmbeddedPortablePdbDebugDirectoryData(embedded);
        MetadataReader reader = symbols.GetMetadataReader();

        string map = reader.CustomDebugInformation.Select(reader.GetCustomDebugInformation)
            .Where(i => reader.GetGuid(i.Kind) == SourceLink).Select(i => Encoding.UTF8.GetString(reader.GetBlobBytes(i.Value))).Single();

        Assert.That(map, Does.Contain($"https://raw.githubusercontent.com/some-org/qwenilgpu/{InstalledPackages.Commit}/*"));
    }

    [Test]
    public void TheLibraryNeedsOnlyWhatFeedsHold()
    {
        using ZipArchive package = Open("QwenIlgpu");

        Assert.That(Dependency().Matches(Text(package, "QwenIlgpu.nuspec")).Select(m => m.Groups[1].Value), Is.Not.Empty.And.None.StartsWith("QwenIlgpu"));
    }

    [Test]
    public void EveryAssemblyOfOthersIsNamedInTheNotices()
    {
        using ZipArchive package = Open("QwenIlgpu.Cli");
        string notices = Text(package, "THIRD-PARTY-NOTICES.txt");
        string[] others = [.. package.Entries.Select(e => e.Name).Where(n => n.EndsWith(".dll", StringComparison.Ordinal) && n is not ("qwen.dll" or "QwenIlgpu.dll" or "QwenIlgpu.Kernels.dll"))];

        Assert.That(others, Is.Not.Empty);
        Assert.That(others.Where(o => !notices.Contains(o, StringComparison.Ordinal)), Is.Empty);
        Assert.That(notices.Split('=')[0].Split([' ', ',', '\n'], StringSplitOptions.RemoveEmptyEntries).Where(w => w.EndsWith(".dll", StringComparison.Ordinal)), Is.EquivalentTo(others));
    }

    [Test]
    public void TheToolAnswers()
    {
        string answer = installed.Run(installed.Sources, "\"$@\"", installed.Tool, "generate", Question, "--no-thinking", "--greedy", "--device", "cpu");

        Assert.That(answer, Does.Contain("Oslo"));
    }

    [Test]
    public void TheSampleRunsInAProjectWithThePackage()
    {
        File.WriteAllText(Path.Combine(installed.Project, "Program.cs"), ReadmeTests.LibrarySample);

        Assert.That(installed.Run(installed.Project, "dotnet run -c Release -- \"$@\"", TestData.TinyModel), Does.Contain("Oslo").And.Not.Contain("warning"));
    }

    // Without implicit usings, so that the sample brings all that it needs; with the examples of the documentation beside it.
    [Test]
    public void TheSampleAndTheExamplesRunInAProjectWithAReference()
    {
        string project = Path.Combine(Path.GetDirectoryName(installed.Sources)!, "referring");
        installed.Run(
            Path.GetDirectoryName(installed.Sources)!,
            "dotnet new console -o referring && cd referring && dotnet add reference ../qwenilgpu/src/QwenIlgpu && sed -i.old '/ImplicitUsings/d' referring.csproj");
        File.WriteAllText(Path.Combine(project, "Program.cs"), ReadmeTests.LibrarySample);
        File.WriteAllText(Path.Combine(project, "Examples.cs"), Examples());

        Assert.That(installed.Run(project, "dotnet run -c Release -- \"$@\"", TestData.TinyModel), Does.Contain("Oslo"));
    }

    private static string Examples()
    {
        XDocument documentation = XDocument.Load(Path.Combine(AppContext.BaseDirectory, "QwenIlgpu.xml"));
        string[] code = [.. documentation.Descendants("example").Elements("code").Select(c => c.Value)];
        Assert.That(documentation.Descendants("member").Where(m => m.Element("example") is not null).Select(m => m.Attribute("name")!.Value), Is.SupersetOf(
            (string[])["T:QwenIlgpu.QwenModel", "T:QwenIlgpu.Engine", "T:QwenIlgpu.GenerationOptions", "T:QwenIlgpu.SamplingOptions", "T:QwenIlgpu.PromptMessage"]));
        var text = new StringBuilder("using System;\nusing System.Threading.Tasks;\nusing QwenIlgpu;\n#pragma warning disable\nstatic class Examples\n{\n");
        text.Append("    static QwenModel model = null!;\n    static Engine engine = null!;\n");
        for (int i = 0; i < code.Length; i++)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"    static async Task Example{i}()\n    {{\n{code[i]}\n    }}\n");
        return text.Append("}\n").ToString();
    }

    private ZipArchive Open(string id) => ZipFile.OpenRead(installed.Package(id));

    private static string Text(ZipArchive package, string entry)
    {
        using var reader = new StreamReader(package.GetEntry(entry)!.Open());
        return reader.ReadToEnd();
    }

    [GeneratedRegex("<dependency id=\"([^\"]+)\"")]
    private static partial Regex Dependency();
}
