using ILGPU;
using ILGPU.Backends.PTX;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Yields the PTX that a device loads: from the cache, or compiled and rewritten. A hit runs nothing of ILGPU's compiler and
/// gives the driver the very text it has seen before, which a compilation in another order would not.
/// </summary>
internal sealed class PtxCompiler(PTXBackend backend, PtxCache cache)
{
    /// <summary>Kernels that ILGPU compiled, cache hits not among them.</summary>
    public int Compilations { get; private set; }

    /// <exception cref="NotSupportedException">The kernel needs a later architecture, or ILGPU cannot compile it.</exception>
    public string Compile(KernelEntry entry)
    {
        PtxKey key = PtxKey.Of(entry, backend);
        if (cache.Find(key) is { } known)
            return known;
        string ptx = PtxRewrite.Describe(PtxRewrite.Apply(CompileNow(entry).PTXAssembly, entry.TargetOn(backend.Architecture)), entry);
        cache.Store(key, ptx);
        return ptx;
    }

    private PTXCompiledKernel CompileNow(KernelEntry entry)
    {
        Compilations++;
        try
        {
            return (PTXCompiledKernel)backend.Compile(entry.Description, entry.Specialization);
        }
        catch (InternalCompilerException e)
        {
            throw new NotSupportedException($"ILGPU cannot compile {entry}: {e.InnerException?.Message ?? e.Message}", e);
        }
    }
}
