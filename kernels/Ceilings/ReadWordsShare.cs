using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Four neighbouring items are 64 bytes: a vector. What is left over is read word by word.</summary>
internal readonly unsafe partial struct ReadWordsKernel : ICpuShare
{
    private const int VectorItems = 4;

    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, VectorItems, thread, threads);
        int whole = (part.To - part.From) / VectorItems * VectorItems;
        if (whole > 0)
            Read((uint*)CpuVectors.Pointer(source), Items, part.From, part.From + whole, CpuVectors.Pointer(sums));
        for (int item = part.From + whole; item < part.To; item++)
            Execute(item);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Read(uint* words, long items, int from, int to, uint* sums)
    {
        Vector512<uint> neighbours = Vector512.Create(1u, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        Vector512<uint> pairs = Vector512.Create(2u, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
        for (int item = from; item < to; item += VectorItems)
        {
            Vector512<uint> sum = default;
            for (int i = 0; i < WordsPerItem; i++)
            {
                Vector512<uint> word = Vector512.Load(words + (((i * items) + item) * 4));
                word &= Vector512.Shuffle(word, neighbours);
                sum += word & Vector512.Shuffle(word, pairs);
            }

            for (int i = 0; i < VectorItems; i++)
                sums[item + i] = sum.GetElement(4 * i);
        }
    }
}
