namespace QwenIlgpu.Kernels;

/// <summary>
/// The steps of prefill attention that no type and no compiler checks. A type parameter, so that a test can get one wrong and see its
/// assertions fail.
/// </summary>
internal interface IPrefillAttentionSteps
{
    /// <summary>Waits until the tile that is read next has arrived.</summary>
    static abstract void AwaitTile();

    /// <summary>Place in its sequence's row of the page table of a block of keys.</summary>
    static abstract int Block(int block);

    /// <summary>The last key of its block that a row attends to, by the row's own place.</summary>
    static abstract int LastKey(int row);
}

/// <summary>As it has to be.</summary>
internal readonly struct PrefillAttentionSteps : IPrefillAttentionSteps
{
    public static void AwaitTile() => AsyncCopy.Wait0();

    public static int Block(int block) => block;

    public static int LastKey(int row) => row;
}
