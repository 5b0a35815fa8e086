using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Fixtures that run on the PTX machine, made of those that run elsewhere too.</summary>
internal static class MachineFixtures
{
    /// <summary>Category of tests and cases that are exhaustive on the machine, which is some hundred times slower than the CPU's loops.</summary>
    public const string Slow = "SlowOnMachine";

    /// <summary>Category of tests of what the machine has none of.</summary>
    public const string None = "NotOnMachine";

    /// <summary>Category of what runs on the machine and elsewhere too: <c>TestCategory=PtxMachine</c> selects it.</summary>
    private const string OnMachine = "PtxMachine";

    private const string Exhaustive = "Exhaustive";

    /// <summary>Lets every test through.</summary>
    public static IPreFilter Everything { get; } = new NoFilter();

    /// <summary>The case, exhaustive on the machine if that is so.</summary>
    public static TestCaseData SlowIf(TestCaseData data, bool isSlow) => isSlow ? data.SetCategory(Slow) : data;

    /// <summary>The fixture with its slow tests made exhaustive and without those that are not for the machine.</summary>
    public static TestSuite Shortened(TestSuite suite)
    {
        suite.Properties.Add(PropertyNames.Category, OnMachine);
        Shorten(suite);
        return suite;
    }

    /// <summary>The fixture under a schedule: what is quick of it and runs on the machine.</summary>
    public static TestSuite Under(MachineSchedule schedule, TestSuite suite)
    {
        string name = suite.Name;
        suite.Name = name.EndsWith(')') ? $"{name[..^1]}, {schedule.Name})" : $"{name}({schedule.Name})";
        suite.Properties.Add(PropertyNames.Category, Exhaustive);
        Mark(suite, schedule, suite.FullName, suite.FullName[..^name.Length] + suite.Name);
        return suite;
    }

    private static void Mark(TestSuite suite, MachineSchedule schedule, string oldName, string newName)
    {
        Rename(suite);
        for (int i = suite.Tests.Count - 1; i >= 0; i--)
        {
            var test = (Test)suite.Tests[i];
            if (Is(test, None) || Is(test, Slow) || Is(test, Exhaustive) || test.Arguments.Any(a => a is "cpu"))
                suite.Tests.RemoveAt(i);
            else if (test is TestSuite cases)
                Mark(cases, schedule, oldName, newName);
            else
                Rename(test);
        }

        void Rename(Test test)
        {
            if (test.FullName.StartsWith(oldName, StringComparison.Ordinal))        // of the cases of a method, theirs alone does
                test.FullName = newName + test.FullName[oldName.Length..];
            test.Properties.Set(MachineSchedule.Property, schedule.Name);
        }
    }

    private static void Shorten(TestSuite suite)
    {
        for (int i = suite.Tests.Count - 1; i >= 0; i--)
        {
            ITest test = suite.Tests[i];
            if (Is(test, None))
                suite.Tests.RemoveAt(i);
            else if (Is(test, Slow) && !Is(test, Exhaustive))
                test.Properties.Add(PropertyNames.Category, Exhaustive);
            else if (test is TestSuite cases)
                Shorten(cases);
        }
    }

    private static bool Is(ITest test, string category) => test.Properties[PropertyNames.Category].Contains(category);

    private sealed class NoFilter : IPreFilter
    {
        public bool IsMatch(Type type) => true;

        public bool IsMatch(Type type, System.Reflection.MethodInfo method) => true;
    }
}
