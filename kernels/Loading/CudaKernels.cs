using System.Reflection;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>The kernels of one CUDA device, each compiled or found in the cache, and loaded, when it is first asked for.</summary>
internal sealed class CudaKernels(CudaAccelerator accelerator, KernelDriver driver, PtxCache cache) : IDisposable
{
    private readonly PtxCompiler compiler = new(accelerator.Backend, cache);
    private readonly Dictionary<MethodInfo, CudaFunction> functions = [];

    public IEnumerable<LoadedKernel> Loaded => functions.Values.Select(f => new LoadedKernel(f.Entry.ToString(), f.Attributes));

    /// <summary>Kernels that ILGPU compiled, cache hits not among them.</summary>
    public int Compilations => compiler.Compilations;

    /// <summary>The kernel of this entry; the device's context is current on the calling thread afterwards.</summary>
    public CudaFunction Load(MethodInfo entry)
    {
        accelerator.Bind();
        if (!functions.TryGetValue(entry, out CudaFunction? function))
        {
            var kernel = new KernelEntry(entry);
            function = CudaFunction.Load(driver, kernel, compiler.Compile(kernel));
            functions.Add(entry, function);
        }

        return function;
    }

    public void Dispose()
    {
        if (functions.Count > 0)
            accelerator.Bind();
        foreach (CudaFunction function in functions.Values)
            function.Dispose();
        functions.Clear();
    }
}
