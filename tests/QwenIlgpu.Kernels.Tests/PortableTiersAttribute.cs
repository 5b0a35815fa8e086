using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Makes a fixture of each tier, all of them where none is named; with <see cref="TypeArgs"/> for a generic class.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
internal sealed class PortableTiersAttribute(params PortableTier[] tiers) : NUnitAttribute, IFixtureBuilder2
{
    public Type[] TypeArgs { get; init; } = [];

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo) => BuildFrom(typeInfo, MachineFixtures.Everything);

    public IEnumerable<TestSuite> BuildFrom(ITypeInfo typeInfo, IPreFilter filter)
    {
        foreach (PortableTier tier in tiers.Length == 0 ? PortableTests.Tiers : tiers.Intersect(PortableTests.Tiers))
        {
            foreach (TestSuite suite in new TestFixtureAttribute(tier) { TypeArgs = TypeArgs }.BuildFrom(typeInfo, filter))
                yield return tier == PortableTier.Ptx ? MachineFixtures.Shortened(suite) : suite;
        }
    }
}
