using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>One item reads <see cref="WordsPerItem"/> words, neighbours side by side, and leaves the sum of their first integers.</summary>
internal readonly partial struct ReadWordsKernel(ArrayView<UInt4> source, ArrayView<uint> sums) : IPortableKernel
{
    public const int WordsPerItem = 8;

    public int Items => sums.IntLength;

    public static void ReadWords(Index1D thread, int threads, ReadWordsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        // All four integers of a word count, or the load would be narrowed.
        uint sum = 0;
        for (int i = 0; i < WordsPerItem; i++)
        {
            UInt4 word = source[(i * Items) + item];
            sum += word.X & word.Y & word.Z & word.W;
        }

        sums[item] = sum;
    }
}
