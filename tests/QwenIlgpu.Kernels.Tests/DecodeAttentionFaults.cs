namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every split but the first leaves its first block out.</summary>
internal readonly struct LateSplits : IDecodeAttentionSteps
{
    public static int FirstBlock(int split, int splitBlocks) => split == 0 ? 0 : (split * splitBlocks) + 1;

    public static int Source(int token, int last) => DecodeAttentionSteps.Source(token, last);

    public static void AwaitSlice<THead>()
        where THead : struct, IHeadSlices => THead.AwaitSlice();
}

/// <summary>Reads whatever a page holds behind the last token.</summary>
internal readonly struct UnboundedSource : IDecodeAttentionSteps
{
    public static int FirstBlock(int split, int splitBlocks) => DecodeAttentionSteps.FirstBlock(split, splitBlocks);

    public static int Source(int token, int last) => token;

    public static void AwaitSlice<THead>()
        where THead : struct, IHeadSlices => THead.AwaitSlice();
}

/// <summary>Computes on slices without waiting for their copies.</summary>
internal readonly struct AttentionWithoutWait : IDecodeAttentionSteps
{
    public static int FirstBlock(int split, int splitBlocks) => DecodeAttentionSteps.FirstBlock(split, splitBlocks);

    public static int Source(int token, int last) => DecodeAttentionSteps.Source(token, last);

    public static void AwaitSlice<THead>()
        where THead : struct, IHeadSlices
    {
    }
}
