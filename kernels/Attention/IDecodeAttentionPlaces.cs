namespace QwenIlgpu.Kernels;

/// <summary>
/// The places of decode attention that no type and no compiler checks. A type parameter, so that a test can get one wrong and see its
/// assertions fail.
/// </summary>
internal interface IDecodeAttentionPlaces
{
    /// <summary>First token behind a split that could go on to <paramref name="end"/>.</summary>
    static abstract int End(int end);

    /// <summary>Block of a token in its sequence's row of the page table.</summary>
    static abstract int Block(int token);
}

/// <summary>As it has to be.</summary>
internal readonly struct DecodeAttentionPlaces : IDecodeAttentionPlaces
{
    public static int End(int end) => end;

    public static int Block(int token) => token / KvCache.PageTokens;
}
