using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>The 16-bit type of a decode matmul's operands: how activations are rounded to it and codes become it, exactly.</summary>
internal interface IOperand16
{
    /// <summary>a · b + c of an m16n8k16 step.</summary>
    static abstract Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c);

    /// <summary>Two activations side by side, each rounded to nearest.</summary>
    static abstract uint Pack(float low, float high);

    /// <summary>What <see cref="FromInt4"/> subtracts from rows g, of their zero point 0 … 16.</summary>
    static abstract uint ZeroAbove(uint zero);

    /// <summary>What <see cref="FromInt4"/> takes off rows g + 8.</summary>
    static abstract uint ZeroBelow(uint zero);

    /// <summary>A word of the INT4 layout as an A fragment of code − zero.</summary>
    static abstract UInt4 FromInt4(uint word, uint zeroAbove, uint zeroBelow);

    /// <summary>Two words of the INT8 layout as an A fragment: left has registers 0 and 1, right 2 and 3.</summary>
    static abstract UInt4 FromInt8(uint left, uint right);
}

/// <summary>bf16: 128 + code is a code in the last of its seven mantissa bits.</summary>
internal readonly struct Bf16Operand : IOperand16
{
    private const uint One = 0x00010001u;
    private const uint Base = 0x43004300u;                      // 128
    private const uint Fp8Unit = 0x7b807b80u;                   // 2^120

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c) => Mma.Bf16(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Pack(float low, float high) => Bf16x2.Pack(low, high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroAbove(uint zero) => Base + (zero * One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroBelow(uint zero) => Base + (zero * One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FromInt4(uint word, uint zeroAbove, uint zeroBelow) => new(
        Bf16x2.Subtract(Bits.LowNibblesToBf16x2(word), zeroAbove),
        Bf16x2.Subtract(Bits.LowNibblesToBf16x2(word >> 4), zeroBelow),
        Bf16x2.Subtract(Bits.LowNibblesToBf16x2(word >> 8), zeroAbove),
        Bf16x2.Subtract(Bits.LowNibblesToBf16x2(word >> 12), zeroBelow));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FromInt8(uint left, uint right) =>
        new(FromBytes(left), FromBytes(left >> 8), FromBytes(right), FromBytes(right >> 8));

    /// <summary>
    /// Two words of FP8 codes in INT8's order likewise. The seven bits in a bf16's field are the value times 2^-120; the product undoes it,
    /// exactly, subnormals included.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FromFp8(uint left, uint right) =>
        new(FromHighBytes(left << 8), FromHighBytes(left), FromHighBytes(right << 8), FromHighBytes(right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint FromHighBytes(uint word) => Bf16x2.Multiply(((word >> 4) & 0x07f007f0u) | (word & 0x80008000u), Fp8Unit);

    // Bit 7, the sign, is the exponent's last bit: 128 + the other seven bits, minus 128 or 256.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint FromBytes(uint word) => Bf16x2.Subtract((word & 0x007f007fu) | Base, (word & 0x00800080u) | Base);
}

/// <summary>f16: 1024 + code is a code in the last of its ten mantissa bits, 1024 + 16 · code one four bits further up.</summary>
internal readonly struct F16Operand : IOperand16
{
    private const uint One = 0x00010001u;
    private const uint Base = 0x64006400u;                      // 1024
    private const uint Sixteenth = 0x2c002c00u;                 // 1/16
    private const uint HighBase = 0xd400d400u;                  // −1024 / 16 = −64; one more is 16 in its last bits
    private const uint ByteBase = 0x64806480u;                  // 1024 + 128

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 MultiplyAdd(UInt4 a, UInt2 b, Float4 c) => Mma.F16(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Pack(float low, float high) => F16x2.Pack(low, high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroAbove(uint zero) => Base + (zero * One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroBelow(uint zero) => HighBase + (zero * (16 * One));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FromInt4(uint word, uint zeroAbove, uint zeroBelow)
    {
        uint upper = word >> 8;
        return new UInt4(
            F16x2.Subtract(Bits.LowNibblesToF16x2(word), zeroAbove),
            F16x2.Fma(Bits.HighNibblesToF16x2(word), Sixteenth, zeroBelow),
            F16x2.Subtract(Bits.LowNibblesToF16x2(upper), zeroAbove),
            F16x2.Fma(Bits.HighNibblesToF16x2(upper), Sixteenth, zeroBelow));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FromInt8(uint left, uint right) =>
        new(FromBytes(left), FromBytes(left >> 8), FromBytes(right), FromBytes(right >> 8));

    // With its sign bit flipped a byte is code + 128.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint FromBytes(uint word) => F16x2.Subtract((word & 0x00ff00ffu) ^ ByteBase, ByteBase);
}
