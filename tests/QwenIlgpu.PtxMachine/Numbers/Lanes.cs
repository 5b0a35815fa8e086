using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>A register of a warp: one word a lane.</summary>
internal static class Lanes
{
    public const int Count = 32;

    /// <summary>Sixteen words from <paramref name="first"/> on, which are checked to be there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Load<T>(ReadOnlySpan<T> words, int first)
        where T : unmanaged => MemoryMarshal.Read<Vector512<T>>(MemoryMarshal.AsBytes(words[first..]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(Vector512<T> values, Span<T> words, int first)
        where T : unmanaged => MemoryMarshal.Write(MemoryMarshal.AsBytes(words[first..]), values);
}
