namespace QwenIlgpu;

/// <summary>How a linear module is stored.</summary>
internal abstract record ModuleEncoding
{
    /// <summary>The encoding in words.</summary>
    public abstract string Text { get; }

    /// <summary>What is added to its outputs, [N], or null. It must be of zeros, which older GPTQ writers put beside every module.</summary>
    public TensorEntry? Bias { get; init; }

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
