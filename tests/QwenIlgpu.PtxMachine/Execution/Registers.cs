using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine;

/// <summary>Reading and writing the lanes of registers.</summary>
internal static unsafe class Registers
{
    private static readonly Vector512<uint> WordBits = Vector512.Create(
        1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u, 512u, 1024u, 2048u, 4096u, 8192u, 16384u, 32768u);

    private static readonly Vector512<ulong> DoubleBits = Vector512.Create(1ul, 2ul, 4ul, 8ul, 16ul, 32ul, 64ul, 128ul);

    /// <summary>The same bits in every lane.</summary>
    public static void Fill(byte* file, Slot slot, ulong bits)
    {
        byte* at = file + slot.OffsetBytes;
        switch (slot.Kind)
        {
            case SlotKind.Predicate:
                *(uint*)at = (uint)bits;
                break;
            case SlotKind.Double:
                new Span<ulong>(at, Warp.Lanes).Fill(bits);
                break;
            default:
                new Span<uint>(at, Warp.Lanes).Fill((uint)bits);
                break;
        }
    }

    /// <summary>Stores the lanes from <paramref name="first"/> on, those that are active.</summary>
    public static void Store<T>(T* lanes, int first, Vector512<T> value, uint active)
        where T : unmanaged
    {
        if (active == Warp.AllLanes)
            value.Store(lanes + first);
        else
            Vector512.ConditionalSelect(Mask<T>(active >> first), value, Vector512.Load(lanes + first)).Store(lanes + first);
    }

    /// <summary>Copies what was computed for all lanes to those that are active.</summary>
    public static void Store<T>(T* lanes, T* values, uint active)
        where T : unmanaged
    {
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
            Store(lanes, i, Vector512.Load(values + i), active);
    }

    private static Vector512<T> Mask<T>(uint bits)
        where T : unmanaged => sizeof(T) == 4
            ? Vector512.Equals(Vector512.Create(bits) & WordBits, WordBits).As<uint, T>()
            : Vector512.Equals(Vector512.Create((ulong)bits) & DoubleBits, DoubleBits).As<ulong, T>();
}
