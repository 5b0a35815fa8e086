namespace QwenIlgpu.Kernels;

/// <summary>A head size as slices of 64 dimensions: a type parameter, so that loops over them have a constant length.</summary>
internal interface IHeadSlices
{
    /// <summary>Slices of a head: its size / 64.</summary>
    static abstract int Slices { get; }

    /// <summary>Waits for the oldest of as many copies as a head has slices.</summary>
    static abstract void AwaitSlice();

    /// <summary>Takes the first slice out and puts this one behind the last: a turn of the loop always works on the first.</summary>
    static abstract DecodeOutput Turn(DecodeOutput tile, DecodeOutputSlice last);
}

internal readonly struct Head64 : IHeadSlices
{
    public static int Slices => 1;

    public static void AwaitSlice() => AsyncCopy.Wait0();

    public static DecodeOutput Turn(DecodeOutput tile, DecodeOutputSlice last) => new(last, tile.S1, tile.S2, tile.S3);
}

internal readonly struct Head128 : IHeadSlices
{
    public static int Slices => 2;

    public static void AwaitSlice() => AsyncCopy.Wait1();

    public static DecodeOutput Turn(DecodeOutput tile, DecodeOutputSlice last) => new(tile.S1, last, tile.S2, tile.S3);
}

internal readonly struct Head256 : IHeadSlices
{
    public static int Slices => 4;

    public static void AwaitSlice() => AsyncCopy.Wait3();

    public static DecodeOutput Turn(DecodeOutput tile, DecodeOutputSlice last) => new(tile.S1, tile.S2, tile.S3, last);
}
