using QwenIlgpu.Testing;

namespace QwenIlgpu.Tests;

/// <summary>Which tests the arguments of a test project select.</summary>
internal sealed class TestProgramTests
{
    [TestCase("", "--filter|TestCategory!=Exhaustive")]
    [TestCase("--output|Detailed", "--output|Detailed|--filter|TestCategory!=Exhaustive")]
    [TestCase("--filter|Name~A|--list-tests", "--filter|(Name~A)&TestCategory!=Exhaustive|--list-tests")]
    [TestCase("--filter=Name~A", "--filter|(Name~A)&TestCategory!=Exhaustive")]
    public void LeavesOutTheExhaustive(string args, string expected) => Assert.That(Select(args), Is.EqualTo(expected));

    [TestCase("--exhaustive", "")]
    [TestCase("--exhaustive|--filter|Name~A", "--filter|Name~A")]
    [TestCase("--filter|Name=A", "--filter|Name=A")]
    [TestCase("--filter|FullyQualifiedName=A.B", "--filter|FullyQualifiedName=A.B")]
    [TestCase("--filter|TestCategory=Exhaustive", "--filter|TestCategory=Exhaustive")]
    [TestCase("--filter-uid|1", "--filter-uid|1")]
    [TestCase("--filter", "--filter")]
    public void RunsTheExhaustiveWhereAskedFor(string args, string expected) => Assert.That(Select(args), Is.EqualTo(expected));

    private static string Select(string args) =>
        string.Join('|', TestProgram.Select(args.Split('|', StringSplitOptions.RemoveEmptyEntries)));
}
