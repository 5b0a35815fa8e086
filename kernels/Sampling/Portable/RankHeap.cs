using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A binary heap with the smallest number at the root: it keeps the greatest <c>capacity</c> numbers of those offered.</summary>
internal static class RankHeap
{
    /// <summary>Returns the new count.</summary>
    public static int Offer(ArrayView<ulong> heap, int count, int capacity, ulong value)
    {
        if (count == capacity)
        {
            if (value > heap[0])
                SiftDown(heap, 0, count, value);
            return count;
        }

        int hole = count;
        while (hole > 0)
        {
            int parent = (hole - 1) >> 1;
            ulong above = heap[parent];
            if (above <= value)
                break;
            heap[hole] = above;
            hole = parent;
        }

        heap[hole] = value;
        return count + 1;
    }

    /// <summary>Turns any numbers into a heap.</summary>
    public static void Build(ArrayView<ulong> heap, int count)
    {
        for (int hole = (count >> 1) - 1; hole >= 0; hole--)
            SiftDown(heap, hole, count, heap[hole]);
    }

    /// <summary>Turns a heap into a list, greatest first.</summary>
    public static void Sort(ArrayView<ulong> heap, int count)
    {
        for (int last = count - 1; last > 0; last--)
        {
            ulong smallest = heap[0];
            SiftDown(heap, 0, last, heap[last]);
            heap[last] = smallest;
        }
    }

    private static void SiftDown(ArrayView<ulong> heap, int hole, int count, ulong value)
    {
        int child = (2 * hole) + 1;
        while (child < count)
        {
            ulong below = heap[child];
            if (child + 1 < count)
            {
                ulong right = heap[child + 1];
                if (right < below)
                {
                    below = right;
                    child++;
                }
            }

            if (below >= value)
                break;
            heap[hole] = below;
            hole = child;
            child = (2 * hole) + 1;
        }

        heap[hole] = value;
    }
}
