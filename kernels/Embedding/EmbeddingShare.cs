using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring rows a thread.</summary>
internal readonly unsafe partial struct EmbeddingKernel<TWeight> : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(y.Rows, thread, threads);
        for (int token = part.From; token < part.To; token++)
        {
            UInt4* row = CpuVectors.Row(table, ids[token]);
            float* to = CpuVectors.Row(y, token);
            if (typeof(TWeight) == typeof(F32Weights))
                new Span<float>(row, y.Columns).CopyTo(new Span<float>(to, y.Columns));
            else if (typeof(TWeight) == typeof(Bf16Weights))
                Bf16Share.Widen((ushort*)row, to, y.Columns);
            else
                WidenF16((ushort*)row, to, y.Columns);
        }
    }

    // The last elements one by one: what lies behind them may be no memory of ours.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WidenF16(ushort* from, float* to, int count)
    {
        int whole = count / CpuVectors.Width * CpuVectors.Width;
        for (int i = 0; i < whole; i += CpuVectors.Width)
            F16Vectors.Load(from + i).Store(to + i);
        for (int i = whole; i < count; i++)
            to[i] = F16.ToFloat(from[i]);
    }
}
