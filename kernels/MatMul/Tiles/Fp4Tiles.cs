using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// FP4 as bf16 operands value · scale · 2^-8, exact in six bits: groups of 16 are steps, which the tensor cores sum to the whole tile, and
/// the tile's sum meets the global scale. A value's four bits and a scale's eight, shifted to where bf16 has exponent and mantissa, are
/// value · 2^-126 and scale · 2^-120, subnormal ones too: a product by powers of two makes them right.
/// </summary>
internal readonly struct Fp4Tiles : IWeightTiles
{
    private const uint TwoTo120 = 0x7b807b80u;
    private const uint TwoTo118 = 0x7a807a80u;
    private const float OperandUnits = 256;

    public static int Columns => Int4Layout.TileColumns;

    public static bool TakesOctets => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile Load(WeightRows rows, int tile, bool present)
    {
        UInt4 codes = GlobalLoad.StreamingIf(ref rows.Codes[tile * Int4Layout.TileLanes], present);
        WeightTile loaded = LoadScales(rows, tile, present);
        loaded.Codes = codes;
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        tile = present ? tile : 0;
        int slot = (Fp4Layout.GlobalSlots + (Fp4Layout.TileSlots * tile)) * Int4Layout.TileRows;
        loaded.ScaleAbove = rows.Scales[slot];
        loaded.ScaleBelow = rows.Scales[slot + 8];
        loaded.SecondScaleAbove = rows.Scales[slot + Int4Layout.TileRows];
        loaded.SecondScaleBelow = rows.Scales[slot + Int4Layout.TileRows + 8];
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(WeightRows rows, int tile, bool present)
    {
        if (present)
            GlobalLoad.PrefetchL2(ref rows.Codes[tile * Int4Layout.TileLanes]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present)
    {
        uint above = Factors(loaded.ScaleAbove);
        uint below = Factors(loaded.ScaleBelow);
        uint secondAbove = Factors(loaded.SecondScaleAbove);
        uint secondBelow = Factors(loaded.SecondScaleBelow);
        OperandTile operand = default;
        operand.Step0 = Step(loaded.Codes.X, Lower(above), Lower(below));
        operand.Step1 = Step(loaded.Codes.Y, Upper(above), Upper(below));
        operand.Step2 = Step(loaded.Codes.Z, Lower(secondAbove), Lower(secondBelow));
        operand.Step3 = Step(loaded.Codes.W, Upper(secondAbove), Upper(secondBelow));

        // All rows have the same one but for those of the padding, which nobody stores.
        uint bits = ((uint)rows.Scales[0] << 16) | rows.Scales[Int4Layout.TileRows];
        float global = present ? Interop.IntAsFloat(bits) * OperandUnits : 0;
        operand.ScaleAbove = global;
        operand.ScaleBelow = global;
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = Mma.Bf16(tile.Step0, new UInt2(left.X, left.Y), default);
        sum = Mma.Bf16(tile.Step1, new UInt2(left.Z, left.W), sum);
        sum = Mma.Bf16(tile.Step2, new UInt2(right.X, right.Y), sum);
        sum = Mma.Bf16(tile.Step3, new UInt2(right.Z, right.W), sum);
        return OperandTile.AddScaled(total, sum, tile.ScaleAbove, tile.ScaleBelow);
    }

    // Two scales side by side as bf16 times 2^118: as much as leaves the largest, 448, finite.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Factors(uint scales)
    {
        uint bytes = Bits.Permute(scales, 0, 0x4140u);
        uint raw = ((bytes << 4) & 0x07f007f0u) | ((bytes << 8) & 0x80008000u);
        return Bf16x2.Multiply(Bf16x2.Multiply(raw, TwoTo120), TwoTo118);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Lower(uint pair) => Bits.Permute(pair, 0, 0x1010u);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Upper(uint pair) => Bits.Permute(pair, 0, 0x3232u);

    // The A fragment of a step.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static UInt4 Step(uint word, uint above, uint below) => new(
        Bf16x2.Multiply(Values(word << 6, word << 12), above),
        Bf16x2.Multiply(Values(word << 2, word << 8), below),
        Bf16x2.Multiply(Values(word >> 2, word << 4), above),
        Bf16x2.Multiply(Values(word >> 6, word), below));

    // Two values as bf16 times 2^-126.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Values(uint magnitudes, uint signs) => (magnitudes & 0x01c001c0u) | (signs & 0x80008000u);
}
