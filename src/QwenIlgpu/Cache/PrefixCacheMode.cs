namespace QwenIlgpu;

/// <summary>Whether a prompt may begin where an earlier one with the same tokens has been before.</summary>
public enum PrefixCacheMode
{
    /// <summary>
    /// From what prefill wrote, in whole pages: the answer is, bit for bit, the one without a cache, whoever was there before. The default.
    /// </summary>
    Exact,

    /// <summary>
    /// From what decode wrote as well: less is computed again, and the answer agrees with the one without a cache as decode and prefill of
    /// the same tokens agree, not in bits: on the tiny model log-probabilities differ by less than 1e-4 in f32, 1e-3 with pages of bf16.
    /// </summary>
    Reuse,

    /// <summary>Every prompt is computed from its first token on, and nothing is kept.</summary>
    Off,
}
