
namespace QwenIlgpu.Kernels.Tests;

/// <summary>Which room of the kernels, and which folder of a room, knows which: arrows point one way.</summary>
internal sealed class RoomTests
{
    private static IReadOnlyList<string> Rooms => KernelRooms.Names;

    [Test]
    public void EveryTypeHasARoom()
    {
        Assert.That(
            typeof(KernelLoader).Assembly.GetTypes().Where(t => t.Namespace == typeof(KernelLoader).Namespace && !t.IsNested)
                .Where(t => !KernelRooms.Folders.ContainsKey(t)),
            Is.Empty);
        Assert.That(KernelRooms.Base, Is.SubsetOf(Rooms));
        Assume.That(Directory.Exists(Folder), "the sources are not beside the tests (published run)");
        Assert.That(
            Directory.GetDirectories(Folder).Select(d => Path.GetFileName(d)).Where(d => d is not ("bin" or "obj")).Order(StringComparer.Ordinal),
            Is.EqualTo(Rooms));
    }

    [Test]
    public void RoomsKnowOneAnotherAsThePictureSays()
    {
        Assume.That(Directory.Exists(Folder), "the sources are not beside the tests (published run)");
        var known = KernelRooms.Arrows()
            .Select(a => (From: KernelRooms.RoomOf(a.Key.From), To: KernelRooms.RoomOf(a.Key.To), Types: $"{a.Value.From.Name} knows {a.Value.To.Name}"))
            .Where(a => a.From != a.To && (KernelRooms.Base.Contains(a.From) || !KernelRooms.Base.Contains(a.To)))
            .GroupBy(a => $"{a.From} --> {a.To}").ToDictionary(g => g.Key, g => g.First().Types);
        string[] drawn =
        [
            .. File.ReadLines(Path.Combine(Folder, "README.md")).Select(l => l.Trim()).Where(l => l.Contains(" --> ", StringComparison.Ordinal)),
        ];

        Assert.That(known.Where(a => !drawn.Contains(a.Key)), Is.Empty, "kernels/README.md does not draw it");
        Assert.That(drawn.Where(a => !known.ContainsKey(a)), Is.Empty, "kernels/README.md draws what is not so");
        Assert.That(KernelRooms.Cycle(drawn.Select(a => a.Split(" --> ")).Select(a => (a[0], a[1]))), Is.Null);
    }

    [TestCaseSource(nameof(Rooms))]
    public void FoldersOfARoomKnowOneAnotherOneWay(string room) => Assert.That(
        KernelRooms.Cycle(KernelRooms.Arrows().Keys.Where(a => KernelRooms.RoomOf(a.From) == room && KernelRooms.RoomOf(a.To) == room)), Is.Null);

    [TestCase("MatMul", "Portable", "Decode", "Prefill")]
    [TestCase("GatedDeltaRule", "Portable", "Step", "Prefill")]
    [TestCase("Attention", "Portable", "Decode", "Prefill")]
    public void TiersDoNotKnowOneAnother(string room, params string[] tiers)
    {
        Assert.That(tiers.Select(t => $"{room}/{t}"), Is.SubsetOf(KernelRooms.Folders.Values));
        Assert.That(
            KernelRooms.Arrows().Where(a => TierOf(a.Key.From) is { } from && TierOf(a.Key.To) is { } to && from != to)
                .Select(a => $"{a.Value.From.Name} of {a.Key.From} knows {a.Value.To.Name} of {a.Key.To}"),
            Is.Empty);

        string? TierOf(string folder) => folder.Split('/') is [var home, var tier, ..] && home == room && tiers.Contains(tier) ? tier : null;
    }

    [Test]
    public void ACycleIsFound()
    {
        Assert.That(KernelRooms.Cycle([("a", "b"), ("b", "c"), ("a", "c")]), Is.Null);
        Assert.That(KernelRooms.Cycle([("a", "b"), ("b", "c"), ("c", "b")]), Is.EqualTo("b → c → b"));
    }

    private static string Folder => Repository.PathTo("kernels");
}
