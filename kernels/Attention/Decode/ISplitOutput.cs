namespace QwenIlgpu.Kernels;

/// <summary>How the warps of a split leave their sums to its merge.</summary>
internal interface ISplitOutput
{
    /// <summary>Whether values were turned before they were stored: what is merged of them is turned back.</summary>
    static abstract bool IsTurned { get; }

    /// <summary>Where word i of a warp's heads lies, four dimensions of one: the head's word'th.</summary>
    static abstract int Place(int i, int head, int word);
}

/// <summary>Values as they are, in the order of their dimensions.</summary>
internal readonly struct PlainOutput : ISplitOutput
{
    public static bool IsTurned => false;

    public static int Place(int i, int head, int word) => i;
}

/// <summary>
/// Turned values. Words are moved within their eight, so that eight lanes that store theirs together, of two eights of dimensions and four
/// heads, do not meet in one bank; nor do those that read neighbouring words.
/// </summary>
internal readonly struct TurnedOutput<THead, TValues> : ISplitOutput
    where THead : struct, IHeadSlices
    where TValues : struct, ICodedPageFormat
{
    public static bool IsTurned => true;

    /// <summary>Neighbouring eights of dimensions that one lane has of a value's word.</summary>
    public static int LaneEights => TValues.WordEights < THead.Slices ? TValues.WordEights : THead.Slices;

    public static int Place(int i, int head, int word)
    {
        int pair = head >> 1;
        if (LaneEights == 4)
            return i ^ ((2 * pair) + ((word >> 3) & 1));
        return LaneEights == 2 ? i ^ pair : i ^ ((pair & 1) + (2 * (pair & 2)));
    }
}
