using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>The states of all slots in the one type they have: [slots, Hv · Dv · Dk] float or f16 bits, the keys of a column contiguous.</summary>
internal readonly struct DeltaStates
{
    public DeltaStates(Matrix<float> f32) => F32 = f32;

    public DeltaStates(Matrix<ushort> f16) => F16 = f16;

    public Matrix<float>? F32 { get; }

    public Matrix<ushort>? F16 { get; }

    public int Columns => F32?.Columns ?? F16?.Columns ?? 0;

    /// <summary>Bytes of one slot.</summary>
    public long SlotBytes => (long)Columns * (F32 is null ? sizeof(ushort) : sizeof(float));

    public static implicit operator DeltaStates(Matrix<float> f32) => new(f32);

    public static implicit operator DeltaStates(Matrix<ushort> f16) => new(f16);

    /// <summary>Words of four floats.</summary>
    public Matrix<Float4> F32Words(string op) => Float4.Words(op, "state", F32!.Value);

    /// <summary>Words of four f16.</summary>
    public Matrix<UInt2> F16Words(string op)
    {
        Matrix<ushort> matrix = F16!.Value;
        long offset = ((IContiguousArrayView)matrix.Data).IndexInBytes;
        Require.That(
            op,
            matrix.Columns % 4 == 0 && matrix.Stride % 4 == 0 && offset % 8 == 0,
            $"state {matrix} with stride {matrix.Stride} at byte {offset} does not consist of words of four f16");
        return new Matrix<UInt2>(matrix.Data.Cast<UInt2>(), matrix.Rows, matrix.Columns / 4, matrix.Stride / 4);
    }
}
