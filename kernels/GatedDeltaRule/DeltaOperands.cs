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

/// <summary>The states of all slots, one behind the other: [Slots, Hv · Dv · Dk], the keys of a value column contiguous.</summary>
/// <param name="Data">As the format says.</param>
/// <param name="Format">Of every slot.</param>
/// <param name="Slots">Sequences that can have a state.</param>
/// <param name="Columns">Numbers of a slot.</param>
internal readonly record struct DeltaStates(ArrayView<byte> Data, DeltaStateFormat Format, int Slots, int Columns)
{
    public long SlotBytes => (long)Columns * ElementBytes(Format);

    public static implicit operator DeltaStates(Matrix<float> f32) =>
        new(f32.Data.Cast<byte>(), DeltaStateFormat.F32, f32.Rows, f32.Columns);

    /// <summary>Bytes of a number.</summary>
    public static int ElementBytes(DeltaStateFormat format) => format == DeltaStateFormat.F32 ? sizeof(float) : sizeof(ushort);

    /// <summary>The numbers of one slot.</summary>
    public ArrayView<T> Slot<T>(int slot)
        where T : unmanaged => Data.SubView(slot * SlotBytes, SlotBytes).Cast<T>();

    /// <summary>The slots as the words of the format.</summary>
    public Matrix<TWord> Words<TWord>(string op)
        where TWord : unmanaged
    {
        int wordBytes = Interop.SizeOf<TWord>();
        long offset = ((IContiguousArrayView)Data).IndexInBytes;
        Require.Equal(op, "bytes of state", Data.Length, "slots · bytes of a slot", Slots * SlotBytes);
        Require.That(
            op,
            SlotBytes % wordBytes == 0 && offset % wordBytes == 0,
            $"state [{Slots}, {Columns}] in {Format} at byte {offset} does not consist of words of {wordBytes} bytes");
        return new Matrix<TWord>(Data.Cast<TWord>(), Slots, (int)(SlotBytes / wordBytes));
    }
}
