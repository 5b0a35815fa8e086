namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring elements a thread, cache lines whole, which may end one row and begin the next.</summary>
internal readonly unsafe partial struct GatherColumnsKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, CpuVectors.Width, thread, threads);
        int* order = CpuVectors.Pointer(columns);
        for (int item = part.From; item < part.To;)
        {
            int row = item / y.Columns;
            int first = item - (row * y.Columns);
            int last = Math.Min(part.To - (row * y.Columns), y.Columns);
            float* from = CpuVectors.Row(x, row);
            float* to = CpuVectors.Row(y, row);
            for (int column = first; column < last; column++)
                to[column] = from[order[column]];
            item += last - first;
        }
    }
}
