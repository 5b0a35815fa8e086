namespace QwenIlgpu.Kernels;

/// <summary>The steps of a chunk scan whose omission no type and no compiler notices; a test replaces them by faulty ones.</summary>
internal interface IChunkScanSteps
{
    /// <summary>Waits for all copies but the last group: what is computed next has arrived.</summary>
    static abstract void AwaitTiles();

    /// <summary>Row of the 16 of K that a lane names to a transposing ldmatrix.</summary>
    static abstract int TransposedRow(int lane);
}

/// <summary>As it has to be.</summary>
internal readonly struct ChunkScanSteps : IChunkScanSteps
{
    public static void AwaitTiles() => AsyncCopy.Wait1();

    public static int TransposedRow(int lane) => (lane & 7) + (((lane >> 3) & 1) << 3);
}
