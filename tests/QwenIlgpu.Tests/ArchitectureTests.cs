using System.Reflection;
using System.Runtime.CompilerServices;

namespace QwenIlgpu.Tests;

/// <summary>The shape of the library: what is public, and who may know whom.</summary>
internal sealed class ArchitectureTests
{
    [Test]
    public void PublicSurfaceIsAsListed()
    {
        string[] actual =
        [
            .. typeof(QwenModel).Assembly.GetExportedTypes().SelectMany(Describe).Order(StringComparer.Ordinal),
        ];
        string file = Path.Combine(AppContext.BaseDirectory, "data", "public-surface.txt");

        Assert.That(actual, Is.EqualTo(File.ReadAllLines(file)), $"what differs is new, changed or gone; if meant so, write it to {Path.GetFileName(file)}:\n{string.Join('\n', actual)}");
    }

    [Test]
    public void KernelsExportNothing() => Assert.That(typeof(Kernels.KernelLoader).Assembly.GetExportedTypes(), Is.Empty);

    // Folder → folders it must not know. A type counts as known where its name stands as a type: declared, called, derived or nested into.
    [TestCase("Device", "Graph", "Cache", "Checkpoints", "Model", "Tokenization", "Generation", "Measure")]
    [TestCase("Graph", "Cache", "Checkpoints", "Model", "Tokenization", "Generation", "Measure")]
    [TestCase("Cache", "Graph", "Model", "Tokenization", "Generation", "Measure")]
    [TestCase("Checkpoints", "Device", "Graph", "Cache", "Model", "Tokenization", "Generation", "Measure")]
    [TestCase("Tokenization", "Device", "Graph", "Cache", "Model", "Generation", "Measure")]
    [TestCase("Model", "Generation", "Measure")]
    [TestCase("Generation", "Measure")]
    public void FoldersDependOneWay(string folder, params string[] forbidden)
    {
        string root = Repository.PathTo("src", "QwenIlgpu");
        Assume.That(Directory.Exists(root), "the sources are not beside the tests (published run)");
        Dictionary<string, string> folderOfType = Directory.GetDirectories(root)
            .Where(d => Path.GetFileName(d) is not ("bin" or "obj"))
            .SelectMany(d => Directory.GetFiles(d, "*.cs", SearchOption.AllDirectories).SelectMany(TypesIn)
                .Select(t => (Type: t, Folder: Path.GetFileName(d))))
            .GroupBy(t => t.Type).ToDictionary(g => g.Key, g => g.First().Folder);

        foreach (string file in Directory.GetFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
        {
            string code = string.Join('\n', File.ReadLines(file).Where(l => !l.TrimStart().StartsWith("//", StringComparison.Ordinal)));
            foreach ((string type, string home) in folderOfType.Where(t => forbidden.Contains(t.Value)))
            {
                Assert.That(
                    System.Text.RegularExpressions.Regex.IsMatch(code, $@"(?<![\w.]){type}(?=\s+[a-zA-Z_]\w*\s*[;=,(){{]|[.(?>\[])"), Is.False,
                    $"{folder}/{Path.GetFileName(file)} knows {type} of {home}");
            }
        }
    }

    // Types of a namespace begin their lines.
    private static IEnumerable<string> TypesIn(string file) => System.Text.RegularExpressions.Regex.Matches(
        File.ReadAllText(file), @"^(?:\w+ )*(?:class|struct|record|interface|enum) (?!struct\b|class\b)(\w+)",
        System.Text.RegularExpressions.RegexOptions.Multiline)
        .Select(m => m.Groups[1].Value).Distinct();

    private static IEnumerable<string> Describe(Type type)
    {
        yield return type.FullName!;
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        foreach (MemberInfo member in type.GetMembers(Declared))
        {
            if (member is MethodBase { IsSpecialName: true } && member is not ConstructorInfo)
                continue;
            if (member.IsDefined(typeof(CompilerGeneratedAttribute)) || member.Name.Contains('<') || member.Name == "value__")
                continue;
            yield return $"{type.FullName}: {member}";
        }
    }
}
