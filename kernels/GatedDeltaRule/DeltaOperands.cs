using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Head counts and sizes of a gated delta rule: Hk key heads of Dk, Hv value heads of Dv. Value head n uses key head n / (Hv / Hk).
/// </summary>
internal readonly struct DeltaShape(int keyHeads, int valueHeads, int keyHeadDim, int valueHeadDim)
{
    public readonly int KeyHeads = keyHeads;
    public readonly int ValueHeads = valueHeads;
    public readonly int KeyHeadDim = keyHeadDim;
    public readonly int ValueHeadDim = valueHeadDim;

    /// <summary>Value heads per key head.</summary>
    public int Ratio => ValueHeads / KeyHeads;

    /// <summary>Width of the queries' block, and of the keys'.</summary>
    public int KeyChannels => KeyHeads * KeyHeadDim;

    /// <summary>Width of the values' block, and of the output.</summary>
    public int ValueChannels => ValueHeads * ValueHeadDim;

    /// <summary>Width of a row of blocks q | k | v.</summary>
    public int Channels => (2 * KeyChannels) + ValueChannels;

    /// <summary>Floats of one sequence's state, [Hv, Dv, Dk]: the keys of a value column are contiguous.</summary>
    public int StateLength => ValueChannels * KeyHeadDim;

    public override string ToString() => $"{KeyHeads} key heads of {KeyHeadDim}, {ValueHeads} value heads of {ValueHeadDim}";
}

/// <summary>What a DeltaNet layer's input projections yield: Mixed, q | k | v before the convolution, [T, Channels]; Z [T, Hv · Dv]; B, A [T, Hv].</summary>
internal sealed record DeltaProjections(Matrix<float> Mixed, Matrix<float> Z, Matrix<float> B, Matrix<float> A);

/// <summary>A DeltaNet layer's own weights: Conv1d [Channels, 4]; ALog, DtBias [Hv]; Norm [Dv], not 1 + weight.</summary>
internal sealed record DeltaParameters(Matrix<float> Conv1d, ArrayView<float> ALog, ArrayView<float> DtBias, ArrayView<float> Norm, float Eps)
{
    /// <summary>Rows that a convolution sees.</summary>
    public const int Taps = 4;
}

/// <summary>
/// What a layer keeps of sequences in slots: States, and Ring, rows before the convolution, [slots, ring rows · Channels], the row of
/// position p at index p % ring rows.
/// </summary>
internal sealed record DeltaSlots(DeltaStates States, Matrix<float> Ring);

/// <summary>The states of all slots in the one type they have: [slots, Hv · Dv · Dk] float or f16 bits, the keys of a column contiguous.</summary>
internal readonly struct DeltaStates
{
    public DeltaStates(Matrix<float> f32) => F32 = f32;

    public DeltaStates(Matrix<ushort> f16) => F16 = f16;

    public Matrix<float>? F32 { get; }

    public Matrix<ushort>? F16 { get; }

    public int Slots => F32?.Rows ?? F16?.Rows ?? 0;

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
