namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="SwiGlu"/> in double precision.</summary>
internal static class SwiGluReference
{
    public static double[] Run(double[] gate, double[] up)
    {
        var y = new double[gate.Length];
        for (int i = 0; i < y.Length; i++)
            y[i] = gate[i] / (1 + Math.Exp(-gate[i])) * up[i];
        return y;
    }
}
