using System.Reflection;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>Compiles each kernel once for one accelerator and binds operands to it, for any number of threads.</summary>
internal sealed class KernelLoader(Accelerator accelerator)
{
    private readonly Dictionary<MethodInfo, Delegate> loaded = [];
    private readonly Lock gate = new();

    public Accelerator Accelerator { get; } = accelerator;

    /// <summary>Binds operands to a portable kernel. The entry is the kernel's static method, named after the op.</summary>
    public Launch Bind<TKernel>(Action<Index1D, int, TKernel> entry, TKernel kernel)
        where TKernel : struct, IPortableKernel
    {
        Delegate? launcher;
        lock (gate)
        {
            if (!loaded.TryGetValue(entry.Method, out launcher))
            {
                launcher = Accelerator.LoadAutoGroupedKernel(entry);
                loaded.Add(entry.Method, launcher);
            }
        }

        var launch = (Action<AcceleratorStream, Index1D, int, TKernel>)launcher;
        int threads = Accelerator.AcceleratorType == AcceleratorType.CPU
            ? Math.Min(kernel.Items, Accelerator.MaxNumThreads)
            : kernel.Items;
        return new Launch(entry.Method.Name, threads, stream => launch(stream, threads, threads, kernel));
    }
}
