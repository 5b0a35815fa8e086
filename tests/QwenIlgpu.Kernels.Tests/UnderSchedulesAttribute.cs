using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A fixture of kernels of groups, and once more under each of the PTX machine's other ways to run them; these are exhaustive.
/// </summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
internal sealed class UnderSchedulesAttribute(params object[] arguments) : NUnitAttribute, IFixtureBuilder2
{
    public Type[] TypeArgs { get; init; } = [];

    /// <summary>Whether what the kernels add on tensor cores is to be cut in one of the copies.</summary>
    public bool UsesTensorCores { get; init; } = true;

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo) => BuildFrom(typeInfo, MachineFixtures.Everything);

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo, IPreFilter filter)
    {
        foreach (TestSuite suite in Build(typeInfo, filter))
            yield return suite;
        if (WarpDevice.Usual != "machine")
            yield break;
        foreach (MachineSchedule schedule in UsesTensorCores ? [.. MachineSchedule.Seeds, MachineSchedule.Cut] : MachineSchedule.Seeds)
        {
            foreach (TestSuite suite in Build(typeInfo, filter))
                yield return MachineFixtures.Under(schedule, suite);
        }
    }

    private IEnumerable<TestSuite> Build(ITypeInfo typeInfo, IPreFilter filter) =>
        new TestFixtureAttribute(arguments) { TypeArgs = TypeArgs }.BuildFrom(typeInfo, filter);
}
