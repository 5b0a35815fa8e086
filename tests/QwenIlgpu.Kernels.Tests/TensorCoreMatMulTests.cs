using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[NonParallelizable]
internal sealed class TensorCoreMatMulTests
{
    [TestCase("cpu", 64, 64, 64)]
    [TestCase("pocl", 256, 256, 256)]
    public void MatchesReference(string deviceName, int m, int n, int k)
    {
        TestDevice device = WarpDevice.Named(deviceName);
        var random = new Random(m + n + k);
        ushort[] x = new ushort[m * k];
        ushort[] w = new ushort[n * k];
        for (int i = 0; i < x.Length; i++) x[i] = F16.FromFloat(random.NextSingle() - 0.5f);
        for (int i = 0; i < w.Length; i++) w[i] = F16.FromFloat(random.NextSingle() - 0.5f);
        Matrix<float> y = device.Poisoned<float>(m, n);
        var kernel = new TensorCoreMatMulKernel<F16Operand, TensorCoreSteps>(
            new Matrix<UInt4>(device.Upload(MemoryMarshal.Cast<ushort, UInt4>(x).ToArray()), m, k / 8),
            new Matrix<UInt4>(device.Upload(MemoryMarshal.Cast<ushort, UInt4>(w).ToArray()), n, k / 8), y);
        var sw = System.Diagnostics.Stopwatch.StartNew();
        device.Run(TensorCoreMatMulKernel<F16Operand, TensorCoreSteps>.TensorCoreMatMul, kernel.Config, kernel);
        Console.WriteLine($"first {sw.ElapsedMilliseconds} ms"); sw.Restart();
        device.Run(TensorCoreMatMulKernel<F16Operand, TensorCoreSteps>.TensorCoreMatMul, kernel.Config, kernel);
        Console.WriteLine($"second {sw.ElapsedMilliseconds} ms");
        MatMulBound.Assert(device.Download(y), [.. x.Select(v => (double)F16.ToFloat(v))], [.. w.Select(v => (double)F16.ToFloat(v))], m, n, k);
    }
}
