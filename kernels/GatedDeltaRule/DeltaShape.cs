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
