using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// PTX's <c>lop3.b32</c> (logic and shift, 9.7.8) and <c>prmt.b32</c> (data movement, 9.7.9), 32 lanes at a time. Destinations may be
/// sources.
/// </summary>
internal static class Selections
{
    /// <summary>Bit by bit, entry 4a + 2b + c of the table <paramref name="lut"/>.</summary>
    public static void Lop3(ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<uint> c, byte lut, Span<uint> d)
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<uint>.Count)
        {
            Vector512<uint> first = Lanes.Load(a, i);
            Vector512<uint> second = Lanes.Load(b, i);
            Vector512<uint> third = Lanes.Load(c, i);
            Vector512<uint> both = Vector512.ConditionalSelect(second, OfThird(third, lut >> 6), OfThird(third, lut >> 4));
            Vector512<uint> rest = Vector512.ConditionalSelect(second, OfThird(third, lut >> 2), OfThird(third, lut));
            Lanes.Store(Vector512.ConditionalSelect(first, both, rest), d, i);
        }
    }

    /// <summary>
    /// Four bytes out of the eight of a (0 to 3) and b (4 to 7). By default each digit of <paramref name="selector"/> names one, or,
    /// with 8 added, its sign bit eight times; in the other modes the selector's lower two bits choose a row of the mode's table.
    /// </summary>
    public static void Permute(
        ReadOnlySpan<uint> a, ReadOnlySpan<uint> b, ReadOnlySpan<uint> selector, PermuteMode mode, Span<uint> d)
    {
        for (int lane = 0; lane < Lanes.Count; lane++)
        {
            ulong bytes = ((ulong)b[lane] << 32) | a[lane];
            uint digits = mode == PermuteMode.Default ? selector[lane] : Digits(mode, (int)selector[lane] & 3);
            uint result = 0;
            for (int i = 0; i < 4; i++)
            {
                int digit = (int)(digits >> (4 * i)) & 15;
                uint value = (uint)(bytes >> (8 * (digit & 7))) & 0xff;
                if (digit >= 8)
                    value = value >= 0x80 ? 0xffu : 0;
                result |= value << (8 * i);
            }

            d[lane] = result;
        }
    }

    // Of two table entries: what stands where the third is clear, and where it is set.
    private static Vector512<uint> OfThird(Vector512<uint> third, int entries)
    {
        Vector512<uint> clear = Vector512.Create((entries & 1) != 0 ? uint.MaxValue : 0);
        Vector512<uint> set = Vector512.Create((entries & 2) != 0 ? uint.MaxValue : 0);
        return Vector512.ConditionalSelect(third, set, clear);
    }

    // The default mode's selector that does what row n of another mode does.
    private static uint Digits(PermuteMode mode, int n)
    {
        uint digits = 0;
        for (int i = 0; i < 4; i++)
        {
            int digit = mode switch
            {
                PermuteMode.Forward4Extract => n + i,
                PermuteMode.Backward4Extract => (n - i) & 7,
                PermuteMode.Replicate8 => n,
                PermuteMode.EdgeClampLeft => Math.Max(n, i),
                PermuteMode.EdgeClampRight => Math.Min(n, i),
                PermuteMode.Replicate16 => (2 * (n & 1)) + (i & 1),
                _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, null),
            };
            digits |= (uint)digit << (4 * i);
        }

        return digits;
    }
}

/// <summary>The modes of <c>prmt.b32</c>.</summary>
internal enum PermuteMode
{
    Default,

    /// <summary><c>.f4e</c></summary>
    Forward4Extract,

    /// <summary><c>.b4e</c></summary>
    Backward4Extract,

    /// <summary><c>.rc8</c></summary>
    Replicate8,

    /// <summary><c>.ecl</c></summary>
    EdgeClampLeft,

    /// <summary><c>.ecr</c></summary>
    EdgeClampRight,

    /// <summary><c>.rc16</c></summary>
    Replicate16,
}
