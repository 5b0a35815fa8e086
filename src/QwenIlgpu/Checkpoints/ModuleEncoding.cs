namespace QwenIlgpu;

/// <summary>How a linear module is stored.</summary>
internal abstract record ModuleEncoding
{
    /// <summary>The encoding in words.</summary>
    public abstract string Text { get; }

    /// <summary>Bytes of its tensors on disk.</summary>
    public abstract long StoredBytes { get; }
}

/// <summary>A matrix as it is: weight [N, K] in F32, F16 or BF16.</summary>
/// <param name="Weight">[N, K].</param>
internal sealed record PlainModule(TensorEntry Weight) : ModuleEncoding
{
    public override string Text => Weight.TypeName;

    public override long StoredBytes => Weight.LengthBytes;
}

/// <summary>GPTQ v1, 4 bits, symmetric: eight inputs a word, low nibble first; W[o, i] = scale[i / group, o] · (code[i, o] − 8).</summary>
/// <param name="QWeight">I32 [K / 8, N].</param>
/// <param name="QZeros">I32 [G, N / 8], every word 0x77777777.</param>
/// <param name="Scales">F16 or BF16 [G, N].</param>
/// <param name="GIdx">I32 [K], equal to i / group, or null.</param>
/// <param name="GroupSize">Inputs that share a scale; G = ⌈K / group⌉.</param>
internal sealed record GptqModule(TensorEntry QWeight, TensorEntry QZeros, TensorEntry Scales, TensorEntry? GIdx, int GroupSize)
    : ModuleEncoding
{
    public override string Text => $"GPTQ INT4, symmetric, groups of {GroupSize}, scales {Scales.TypeName}";

    public override long StoredBytes => QWeight.LengthBytes + QZeros.LengthBytes + Scales.LengthBytes + (GIdx?.LengthBytes ?? 0);
}
