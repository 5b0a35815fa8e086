namespace QwenIlgpu.Kernels;

/// <summary>y = x · Wᵀ on the portable tier, operands checked by the op that they belong to.</summary>
internal static class MatMul
{
    public static Launch Bind<TWeights>(KernelLoader loader, Matrix<float> x, TWeights w, Matrix<float> y, bool takesFixedPoint = false)
        where TWeights : struct, IMatMulWeights => loader.Bind(
            MatMulKernel<TWeights>.MatMul, new MatMulKernel<TWeights>(x, w, y),
            takesFixedPoint ? (thread, threads) => CpuMatMul.Run(thread, threads, x, w.ForCpu(), y, inFixedPoint: true) : null);
}
