using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen columns at a time; a thread takes neighbours, which may end one row and begin the next.</summary>
internal readonly unsafe partial struct SwiGluKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int item = part.From; item < part.To;)
        {
            int row = item / RowItems;
            int end = Math.Min(part.To, (row + 1) * RowItems);
            int first = (item - (row * RowItems)) * ItemColumns;
            int last = Math.Min((end - (row * RowItems)) * ItemColumns, y.Columns);
            Activate(CpuVectors.Row(gate, row) + first, CpuVectors.Row(up, row) + first, CpuVectors.Row(y, row) + first, last - first);
            item = end;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Activate(float* gate, float* up, float* y, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> product = CpuVectors.Silu(CpuVectors.LoadFirst(gate + i, count - i)) * CpuVectors.LoadFirst(up + i, count - i);
            CpuVectors.StoreFirst(product, y + i, count - i);
        }
    }
}
