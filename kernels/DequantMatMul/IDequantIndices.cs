using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>Where the portable matmuls look for what, apart from the kernels so that tests can plant faults.</summary>
internal interface IDequantIndices
{
    /// <summary>First of the four lanes of a tile that hold rows row and row + 8.</summary>
    static abstract int FirstLane(int row);

    /// <summary>Of a tile's row in a group, among the row tile's scales or zeros.</summary>
    static abstract int ScaleIndex(int group, int row);

    /// <summary>Where a last tile's k end.</summary>
    static abstract int EndOfTail(int columns);
}

/// <summary>The right places.</summary>
internal readonly struct DequantIndices : IDequantIndices
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FirstLane(int row) => 4 * row;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ScaleIndex(int group, int row) => (group * Int4Layout.TileRows) + row;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int EndOfTail(int columns) => columns;
}
