using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every mma of one warp: of each sample and lane the fragments a, b and c, and the results as f16 and bf16.</summary>
internal readonly struct MmaKernel(
    ArrayView<UInt4> a, ArrayView<UInt2> b, ArrayView<Float4> c, ArrayView<Float4> f16, ArrayView<Float4> bf16)
    : IGroupKernel
{
    public ArrayView<Float4> F16Results => f16;

    public ArrayView<Float4> Bf16Results => bf16;

    public static void Products(MmaKernel kernel) => kernel.Execute();

    public void Execute()
    {
        for (int i = Group.IdxX; i < a.Length; i += 32)
        {
            f16[i] = Mma.F16(a[i], b[i], c[i]);
            bf16[i] = Mma.Bf16(a[i], b[i], c[i]);
        }
    }
}
