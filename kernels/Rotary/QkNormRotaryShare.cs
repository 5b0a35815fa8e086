using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring heads a thread; a row's rotations are computed once for all of them.</summary>
internal readonly unsafe partial struct QkNormRotaryKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        float* cos = CpuVectors.Scratch(2L * norms.Rotary.Frequencies);
        int headDim = 4 * headWords;
        int turned = -1;
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / (heads + kvHeads);
            int head = item - (row * (heads + kvHeads));
            if (row != turned)
                Rotations(positions[row], cos);
            turned = row;
            float* x = head < heads
                ? (float*)CpuVectors.Row(q, row) + (2L * head * headDim)
                : (float*)CpuVectors.Row(k, row) + ((long)(head - heads) * headDim);
            NormShare.Norm(x, (float*)CpuVectors.Pointer(head < heads ? norms.Q : norms.K), x, headDim, norms.Eps);
            Turn(x, cos, norms.Rotary.Frequencies);
        }
    }

    // Cosines, then sines, of all frequencies.
    private void Rotations(int position, float* cos)
    {
        for (int i = 0; i < norms.Rotary.Frequencies; i++)
        {
            Rotation turn = norms.Rotary.At(position, i);
            cos[i] = turn.Cos;
            cos[norms.Rotary.Frequencies + i] = turn.Sin;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Turn(float* x, float* cosines, int frequencies)
    {
        for (int i = 0; i < frequencies; i += CpuVectors.Width)
        {
            int count = frequencies - i;
            Vector512<float> cos = CpuVectors.LoadFirst(cosines + i, count);
            Vector512<float> sin = CpuVectors.LoadFirst(cosines + frequencies + i, count);
            Vector512<float> a = CpuVectors.LoadFirst(x + i, count);
            Vector512<float> b = CpuVectors.LoadFirst(x + frequencies + i, count);
            CpuVectors.StoreFirst((a * cos) - (b * sin), x + i, count);
            CpuVectors.StoreFirst((b * cos) + (a * sin), x + frequencies + i, count);
        }
    }
}
