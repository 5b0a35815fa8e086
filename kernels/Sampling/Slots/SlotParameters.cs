namespace QwenIlgpu.Kernels;

/// <summary>
/// How one sequence is sampled, as it lies in device memory. Neutral values switch a step off: temperature 0 is greedy, top-k 0,
/// top-p 1, min-p 0. All bits zero means greedy, with no penalties and no log-probabilities.
/// </summary>
internal struct SlotParameters
{
    public const uint HasBias = 1;
    public const uint HasMask = 2;

    /// <summary>Penalties are applied and drawn tokens counted; without it the three penalties are ignored.</summary>
    public const uint HasPenalties = 4;

    /// <summary>The drawn token's log-probability is wanted, and those of the <see cref="TopLogProbs"/> most probable tokens.</summary>
    public const uint HasLogProbs = 8;

    public const int MaxTopK = 1024;
    public const int MaxTopLogProbs = 20;

    public float Temperature;
    public int TopK;
    public float TopP;
    public float MinP;
    public float RepetitionPenalty;
    public float FrequencyPenalty;
    public float PresencePenalty;
    public uint SeedLow;
    public uint SeedHigh;
    public uint Flags;
    public int TopLogProbs;

    /// <summary>With <see cref="PaddingWords"/> it makes 64 bytes, see <see cref="Sections"/>.</summary>
    public uint PaddingWord;
    public UInt4 PaddingWords;

    public readonly bool Has(uint flag) => (Flags & flag) != 0;

    /// <summary>Whether scores differ from the model's logits.</summary>
    public readonly bool AdjustsLogits => (Flags & (HasBias | HasMask | HasPenalties)) != 0;

    /// <summary>Whether the ranking is cut after <see cref="TopK"/> tokens before a draw.</summary>
    public readonly bool DrawsFromTopK => Temperature > 0 && TopK > 0;

    /// <summary>Whether a draw is from every token that min-p leaves.</summary>
    public readonly bool DrawsFromAll => Temperature > 0 && TopK == 0 && TopP >= 1;
}
