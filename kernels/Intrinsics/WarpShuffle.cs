using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Values from another lane of the warp. All 32 lanes must come here together.</summary>
internal static class WarpShuffle
{
    /// <summary>The value of lane ^ mask.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.bfly.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static float Xor(float value, int mask) => From(value, LaneExchange.Lane ^ mask);

    /// <summary>The value of lane ^ mask.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.bfly.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static int Xor(int value, int mask) => From(value, LaneExchange.Lane ^ mask);

    /// <summary>The value of one lane.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.idx.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static float From(float value, int lane) => Interop.IntAsFloat((uint)From((int)Interop.FloatAsInt(value), lane));

    /// <summary>The value of one lane.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.idx.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static int From(int value, int lane)
    {
        LaneExchange.Begin();
        LaneExchange.Put(0, (uint)value);
        LaneExchange.Synchronise();
        return (int)LaneExchange.Get(lane & (LaneExchange.WarpSize - 1), 0);
    }
}
