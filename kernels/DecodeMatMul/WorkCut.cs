namespace QwenIlgpu.Kernels;

/// <summary>How a matmul's row tiles are cut into units and K into splits and runs, and the floats of scratch that follow one another.</summary>
internal sealed record WorkCut(
    int[] FirstUnits, int UnitTiles, int Splits, int RunBlocks, long PackedFloats, long SplitFloats, long BestFloats)
{
    public int Units => FirstUnits[^1];
}
