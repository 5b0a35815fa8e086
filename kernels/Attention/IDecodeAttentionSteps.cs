namespace QwenIlgpu.Kernels;

/// <summary>
/// The steps of decode attention that no type holds in place. A type parameter, so that a test can do one of them wrong and see its
/// assertions fail.
/// </summary>
internal interface IDecodeAttentionSteps
{
    /// <summary>First block of a split.</summary>
    static abstract int FirstBlock(int split, int splitBlocks);

    /// <summary>Token of a page whose key and value are read for this one; last is the page's last token that counts.</summary>
    static abstract int Source(int token, int last);

    /// <summary>Waits for the next slice of keys or values.</summary>
    static abstract void AwaitSlice<THead>()
        where THead : struct, IHeadSlices;
}

/// <summary>As it has to be.</summary>
internal readonly struct DecodeAttentionSteps : IDecodeAttentionSteps
{
    public static int FirstBlock(int split, int splitBlocks) => split * splitBlocks;

    public static int Source(int token, int last) => token < last ? token : last;

    public static void AwaitSlice<THead>()
        where THead : struct, IHeadSlices => THead.AwaitSlice();
}
