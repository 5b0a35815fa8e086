using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Values from another lane of the warp. All 32 lanes must come here together.</summary>
[EmulatedBy(typeof(WarpShuffleEmulation))]
internal static class WarpShuffle
{
    /// <summary>The value of lane ^ mask.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.bfly.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static float Xor(float value, int mask) => WarpShuffleEmulation.Xor(value, mask);

    /// <summary>The value of lane ^ mask.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.bfly.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static int Xor(int value, int mask) => WarpShuffleEmulation.Xor(value, mask);

    /// <summary>The value of lane + delta, or the lane's own where there is none.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.down.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static float Down(float value, int delta) => WarpShuffleEmulation.Down(value, delta);

    /// <summary>The value of lane + delta, or the lane's own where there is none.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.down.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static int Down(int value, int delta) => WarpShuffleEmulation.Down(value, delta);

    /// <summary>The value of one lane.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.idx.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static float From(float value, int lane) => WarpShuffleEmulation.From(value, lane);

    /// <summary>The value of one lane.</summary>
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("shfl.sync.idx.b32 $d, $0, $1, 0x1f, 0xffffffff;")]
    public static int From(int value, int lane) => WarpShuffleEmulation.From(value, lane);
}

/// <summary><see cref="WarpShuffle"/> by exchange.</summary>
internal static class WarpShuffleEmulation
{
    private const int LastLane = LaneExchange.WarpSize - 1;

    public static float Xor(float value, int mask) => Interop.IntAsFloat(Exchange(Interop.FloatAsInt(value), LaneExchange.Lane ^ mask));

    public static int Xor(int value, int mask) => (int)Exchange((uint)value, LaneExchange.Lane ^ mask);

    public static float Down(float value, int delta) => Interop.IntAsFloat(Exchange(Interop.FloatAsInt(value), LaneBelow(delta)));

    public static int Down(int value, int delta) => (int)Exchange((uint)value, LaneBelow(delta));

    public static float From(float value, int lane) => Interop.IntAsFloat(Exchange(Interop.FloatAsInt(value), lane & LastLane));

    public static int From(int value, int lane) => (int)Exchange((uint)value, lane & LastLane);

    private static int LaneBelow(int delta)
    {
        int lane = LaneExchange.Lane;
        return lane + delta > LastLane ? lane : lane + delta;
    }

    private static uint Exchange(uint value, int lane)
    {
        LaneExchange.Begin();
        LaneExchange.Put(0, value);
        LaneExchange.Synchronise();
        return LaneExchange.Get(lane, 0);
    }
}
