using System.Reflection;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>PTX of explicitly grouped kernels as it is loaded: without hints on branches, which keep ptxas from unrolling.</summary>
internal static class Ptx
{
    public static string Of<TKernel>(Action<TKernel> entry, int groupSize = 0) => Of(entry.Method, groupSize);

    public static string Of(MethodInfo entry, int groupSize = 0)
    {
        using Context context = PtxBuild.CreateContext();
        var architecture = new CudaArchitecture(8, 0);
        using var backend = new PTXBackend(
            context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_78, null);
        KernelSpecialization specialization = groupSize == 0 ? KernelSpecialization.Empty : new KernelSpecialization(groupSize, null);
        var kernel = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(entry), specialization);
        return kernel.PTXAssembly.Replace("bra.uni", "bra", StringComparison.Ordinal);
    }
}
