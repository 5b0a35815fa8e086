using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The grid-stride loop every portable kernel's entry consists of. One GPU thread takes one item; the CPU accelerator, where a
/// work-item boundary costs about a microsecond, gets as many threads as it has cores, each taking every n-th item.
/// </summary>
internal static class PortableLoop
{
    public static void Run<TKernel>(Index1D thread, int threads, TKernel kernel)
        where TKernel : struct, IPortableKernel
    {
        int items = kernel.Items;
        for (int item = thread; item < items; item += threads)
            kernel.Execute(item);
    }
}
