using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Makes a fixture of each tier of the sampling kernels.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SamplingTiersAttribute : NUnitAttribute, IFixtureBuilder2
{
    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo) => BuildFrom(typeInfo, MachineFixtures.Everything);

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo, IPreFilter filter)
    {
        foreach (string name in SamplingTier.Names)
        {
            IEnumerable<TestSuite> suites = name == "groups"
                ? new UnderSchedulesAttribute(name) { UsesTensorCores = false }.BuildFrom(typeInfo, filter)
                : new TestFixtureAttribute(name).BuildFrom(typeInfo, filter);
            foreach (TestSuite suite in suites)
                yield return name == "ptx" || (name == "groups" && WarpDevice.Usual == "machine") ? MachineFixtures.Shortened(suite) : suite;
        }
    }
}
