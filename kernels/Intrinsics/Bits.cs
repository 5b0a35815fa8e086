using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Bit selection; among it the codes of the INT4 layout as 16-bit floats: a code in a float's last bits is base + code, exactly.
/// </summary>
internal static class Bits
{
    /// <summary>Nibbles 0 and 4 of a word as f16 pair 1024 + code.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x000f000f, 0x64006400, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint LowNibblesToF16x2(uint word) => (word & 0x000f000fu) | 0x64006400u;

    /// <summary>Nibbles 1 and 5 of a word as f16 pair 1024 + 16 · code.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x00f000f0, 0x64006400, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint HighNibblesToF16x2(uint word) => (word & 0x00f000f0u) | 0x64006400u;

    /// <summary>Nibbles 0 and 4 of a word as bf16 pair 128 + code.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x000f000f, 0x43004300, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint LowNibblesToBf16x2(uint word) => (word & 0x000f000fu) | 0x43004300u;

    /// <summary>Bits 3 … 6 of a word and 19 … 22 as bf16 pair 16 + code.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x00780078, 0x41804180, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint MiddleNibblesToBf16x2(uint word) => (word & 0x00780078u) | 0x41804180u;

    /// <summary>Bytes 0 and 2 of a word without their signs as bf16 pair 128 + bits.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x007f007f, 0x43004300, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint SevenBitsToBf16x2(uint word) => (word & 0x007f007fu) | 0x43004300u;

    /// <summary>Bytes 0 and 2 of a word as bf16 pair 128, or 256 where the byte's sign is set.</summary>
    [IntrinsicImplementation, Ptx("lop3.b32 $d, $0, 0x00800080, 0x43004300, 0xea;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint SignsToBf16x2(uint word) => (word & 0x00800080u) | 0x43004300u;

    /// <summary>
    /// Byte i of the result is byte s of the eight of b:a, where s are the lower three bits of nibble i of the selector; its fourth bit
    /// replicates that byte's sign instead.
    /// </summary>
    [IntrinsicImplementation, Ptx("prmt.b32 $d, $0, $1, $2;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Permute(uint a, uint b, uint selector) =>
        Select(a, b, selector)
        | (Select(a, b, selector >> 4) << 8)
        | (Select(a, b, selector >> 8) << 16)
        | (Select(a, b, selector >> 12) << 24);

    private static uint Select(uint a, uint b, uint selector)
    {
        uint source = (selector & 4u) == 0 ? a : b;
        uint value = (source >> (int)(8 * (selector & 3u))) & 0xffu;
        if ((selector & 8u) == 0)
            return value;
        return (value & 0x80u) == 0 ? 0u : 0xffu;
    }
}
