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

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo) => BuildFrom(typeInfo, MachineFixtures.Everything);

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo, IPreFilter filter)
    {
        foreach (TestSuite suite in Build(typeInfo, filter))
            yield return suite;
        foreach (MachineSchedule schedule in WarpDevice.Usual == "machine" ? MachineSchedule.Others : [])
        {
            foreach (TestSuite suite in Build(typeInfo, filter))
                yield return MachineFixtures.Under(schedule, suite);
        }
    }

    private IEnumerable<TestSuite> Build(ITypeInfo typeInfo, IPreFilter filter) =>
        new TestFixtureAttribute(arguments) { TypeArgs = TypeArgs }.BuildFrom(typeInfo, filter);
}
