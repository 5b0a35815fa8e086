using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// 8 × 8 matrices of 16-bit elements from shared memory into fragments. A row is 16 bytes; lane 8j + r names row r of matrix j. Lane
/// l = 4g + t receives of matrix j, as word j, the elements (g, 2t) and (g, 2t + 1), or transposed (2t, g) and (2t + 1, g). The bodies go
/// by exchange: each lane puts the row that it names.
/// </summary>
internal static class LoadMatrix
{
    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.shared.b16 $d, [$s0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static UInt4 X4(ref UInt4 row)
    {
        Put(row);
        return new UInt4(Fragment(0), Fragment(1), Fragment(2), Fragment(3));
    }

    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 $d, [$s0];"), MethodImpl(MethodImplOptions.NoInlining)]
    public static UInt4 X4Transposed(ref UInt4 row)
    {
        Put(row);
        return new UInt4(TransposedFragment(0), TransposedFragment(1), TransposedFragment(2), TransposedFragment(3));
    }

    private static void Put(UInt4 row)
    {
        LaneExchange.Begin();
        LaneExchange.Put(0, row.X);
        LaneExchange.Put(1, row.Y);
        LaneExchange.Put(2, row.Z);
        LaneExchange.Put(3, row.W);
        LaneExchange.Synchronise();
    }

    private static uint Fragment(int matrix)
    {
        int lane = LaneExchange.Lane;
        return LaneExchange.Get((8 * matrix) + (lane >> 2), lane & 3);
    }

    private static uint TransposedFragment(int matrix)
    {
        int lane = LaneExchange.Lane;
        int row = (8 * matrix) + (2 * (lane & 3));
        int column = lane >> 2;
        int shift = 16 * (column & 1);
        uint first = (LaneExchange.Get(row, column >> 1) >> shift) & 0xffffu;
        uint second = (LaneExchange.Get(row + 1, column >> 1) >> shift) & 0xffffu;
        return first | (second << 16);
    }
}
