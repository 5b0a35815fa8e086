using NUnit.Framework.Internal;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the exhaustive category may hold: repetitions of what the quick suite tests, never all that there is of something.</summary>
internal sealed class QuickSuiteTests
{
    [Test]
    public void TouchesEveryFixture()
    {
        ITest all = new DefaultTestAssemblyBuilder().Build(typeof(QuickSuiteTests).Assembly, new Dictionary<string, object>());
        ITest[] fixtures = [.. Within(all).Where(t => t.TestType == "TestFixture" && t.HasChildren && !t.Properties.ContainsKey(MachineSchedule.Property))];

        Assert.That(fixtures, Has.Length.GreaterThan(50));
        Assert.That(
            fixtures.Where(f => !Within(f).Any(t => !t.IsSuite && t.RunState == RunState.Runnable && !IsExhaustive(t))).Select(f => f.FullName),
            Is.Empty);
    }

    /// <summary>A fixture that cannot be made has no tests that fail. Classes that the compiler made for lambdas are none.</summary>
    [Test]
    public void CanMakeEveryFixture()
    {
        ITest all = new DefaultTestAssemblyBuilder().Build(typeof(QuickSuiteTests).Assembly, new Dictionary<string, object>());

        Assert.That(
            Within(all).Where(t => t.RunState == RunState.NotRunnable && !t.FullName.Contains("+<", StringComparison.Ordinal))
                .Select(t => $"{t.FullName}: {t.Properties.Get(PropertyNames.SkipReason)}"),
            Is.Empty);
    }

    private static IEnumerable<ITest> Within(ITest test) => test.Tests.SelectMany(Within).Prepend(test);

    private static bool IsExhaustive(ITest? test) =>
        test is not null && (test.Properties[PropertyNames.Category].Contains("Exhaustive") || IsExhaustive(test.Parent));
}
