using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>target = source, one 16-byte word an item.</summary>
internal readonly partial struct CopyWordsKernel(ArrayView<UInt4> source, ArrayView<UInt4> target) : IPortableKernel
{
    public int Items => source.IntLength;

    public static void CopyWords(Index1D thread, int threads, CopyWordsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item) => target[item] = source[item];
}
