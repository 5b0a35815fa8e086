using System.Reflection;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every portable kernel, in every instantiation it names, compiles to PTX without a GPU.</summary>
[NonParallelizable]
internal sealed class PtxTests
{
    private static IEnumerable<TestCaseData> Entries()
    {
        foreach (Type type in typeof(IPortableKernel).Assembly.GetTypes().Where(t => t.IsValueType && t.IsAssignableTo(typeof(IPortableKernel))))
        {
            InstantiationAttribute[] instantiations = [.. type.GetCustomAttributes<InstantiationAttribute>()];
            IEnumerable<Type> closed = type.IsGenericTypeDefinition
                ? instantiations.Select(i => type.MakeGenericType(i.Arguments))
                : [type];
            int count = 0;
            foreach (Type kernel in closed)
            {
                count++;
                MethodInfo entry = kernel.GetMethods(BindingFlags.Public | BindingFlags.Static)
                    .Single(m => m.GetParameters() is [{ ParameterType: var p }, ..] && p == typeof(Index1D));
                yield return new TestCaseData(entry).SetArgDisplayNames(kernel.ToString());
            }

            if (count == 0)
                throw new InvalidOperationException($"{type.Name} is generic and names no instantiation");
        }
    }

    [TestCaseSource(nameof(Entries))]
    public void Compiles(MethodInfo entry)
    {
        using Context context = Context.Create(b => b.EnableAlgorithms().Optimize(OptimizationLevel.O2));
        var architecture = new CudaArchitecture(8, 0);
        using var backend = new PTXBackend(
            context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_78, null);

        var kernel = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromImplicitlyGroupedKernel(entry), default);

        Assert.That(kernel.PTXAssembly, Does.Contain($".entry Kernel_{entry.Name}("));
    }
}
