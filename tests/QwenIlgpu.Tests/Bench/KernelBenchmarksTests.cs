using System.Reflection;
using System.Text.RegularExpressions;
using QwenIlgpu.Bench;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class KernelBenchmarksTests
{
    // What prepares a slot, packs scales and zero points, fills weights, or is another form of what is timed.
    private static readonly string[] Untimed =
    [
        "AwqPack.BindScales", "AwqPack.BindZeros", "CausalConv1d.BindSnapshot", "CompressedTensorsPack.Bind",
        "CompressedTensorsPack.BindScales", "CompressedTensorsPack.BindZeros", "DecodeFeedback.BindAdvance", "DecodeFeedback.BindSet",
        "ForbidIds.Bind", "Fp4Pack.Bind", "Fp4Pack.BindScales", "Fp8Pack.Bind", "Fp8Pack.BindScales", "GptqPack.BindScales", "GptqPack.BindZeros", "Int4Pack.BindRows",
        "Int4Pack.BindScales", "Int4Pack.BindZeros", "RandomFill.BindBf16", "RandomFill.BindCodes", "RmsNorm.BindAdd", "RmsNorm.BindRows",
        "SlotAdmission.Bind", "SlotAdmission.BindBias", "SlotAdmission.BindMask",
    ];

    [Test]
    public void ListNamesOneForEveryRoom()
    {
        (int code, string output, _) = Run("--list");
        Type[] listed =
        [
            .. typeof(KernelBenchmarks).Assembly.GetTypes().Where(t => BenchmarksOf(t).Any(b => Regex.IsMatch(output, $"(?m)^{b.Name} "))),
        ];
        HashSet<MethodBase> timed = KernelRooms.ReachedFrom(listed);
        ILookup<string, MethodBase> launches = KernelRooms.Folders.Keys.SelectMany(Launches).ToLookup(m => RoomOf(m.DeclaringType!));
        MethodBase[] kernels =
        [
            .. KernelRooms.Folders.Keys.Where(t => t.IsAssignableTo(typeof(IPortableKernel)) && t.IsValueType && !launches.Contains(RoomOf(t)))
                .SelectMany(t => t.GetConstructors()),
        ];

        Assert.That(code, Is.Zero);
        Assert.That(
            launches.SelectMany(l => l).Where(m => !timed.Contains(m)).Select(m => $"{m.DeclaringType!.Name}.{m.Name}"), Is.EquivalentTo(Untimed));
        Assert.That(kernels.Where(k => !timed.Contains(k)).Select(k => k.DeclaringType), Is.Empty);
        Assert.That(
            KernelRooms.Names.Except(KernelRooms.Base).Except(timed.Select(m => RoomOf(m.DeclaringType!))), Is.EqualTo(new[] { "RandomFill" }));
        foreach (KernelBenchmark benchmark in KernelBenchmarks.All)
            Assert.That(output, Does.Match($"(?m)^{benchmark.Name} "));

        static string RoomOf(Type type) => KernelRooms.Folders.TryGetValue(type, out string? folder) ? KernelRooms.RoomOf(folder) : "";

        static IEnumerable<KernelBenchmark> BenchmarksOf(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Static)
            .SelectMany(p => KernelBenchmarks.Of(p));

        static IEnumerable<MethodBase> Launches(Type type) => type
            .GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly)
            .Where(m => m.ReturnType == typeof(Launch) || m.ReturnType == typeof(Launch[]));
    }

    [Test]
    public void SmokeRunMeasuresAKernel()
    {
        (int code, string output, _) = Run("--smoke", "gather_rows");

        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Match("(?m)^gather_rows .* 64 rows of .* [0-9.]+ +[0-9.]+ +[0-9.]+"));
    }

    [Test]
    public void RefusesToReportAWrongResult()
    {
        KernelBenchmark right = KernelBenchmarks.All.Single(b => b.Name == "gather_rows");
        KernelBenchmark wrong = right with { Prepare = d => right.Prepare(d) with { ErrorAgainstReference = () => double.NaN } };
        var output = new StringWriter();

        int code = KernelBenchmarks.Run(["--smoke"], [wrong], output, TextWriter.Null);

        Assert.That(code, Is.EqualTo(1));
        Assert.That(output.ToString(), Does.Contain("differs from its reference by NaN").And.Contain("not timed"));
    }

    [TestCase("no_such_kernel")]
    [TestCase("--fast")]
    public void RefusesUnknownArguments(string argument)
    {
        (int code, _, string errors) = Run(argument);

        Assert.That(code, Is.EqualTo(2));
        Assert.That(errors, Does.Contain("usage"));
    }

    private static (int Code, string Output, string Errors) Run(params string[] args)
    {
        var output = new StringWriter();
        var errors = new StringWriter();
        int code = KernelBenchmarks.Run(args, KernelBenchmarks.All, output, errors);
        return (code, output.ToString(), errors.ToString());
    }

    [Test]
    [Platform("Linux,MacOsX")]
    public void ResultsGoWhereTheyCanBeWrittenOrNothingIsMeasured()
    {
        using var directory = new TemporaryDirectory();
        string file = directory.File("results.json");
        File.WriteAllText(directory.File("target"), "old");
        File.CreateSymbolicLink(file, "target");
        using var output = new StringWriter();

        Assert.That(KernelBenchmarks.Run(["--json", file], [], TextWriter.Null, TextWriter.Null), Is.Zero);
        Assert.That((new FileInfo(file).LinkTarget, File.ReadAllText(directory.File("target"))), Is.EqualTo(("target", "[]")));
        Assert.Throws<DirectoryNotFoundException>(() => KernelBenchmarks.Run(["--json", directory.File("no/results.json")], [], output, TextWriter.Null));
        Assert.That(output.ToString(), Is.Empty);
    }
}
