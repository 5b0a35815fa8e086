using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Bytes −127 … 127 and an f16 scale a row, with zero at 0: the scale is rounded up, so that no element is cut off.</summary>
internal readonly unsafe partial struct Int8PageFormat : IPageFormat
{
    private const int Most = 127;

    public static bool IsQuantized => true;

    public static int DimStep => 32;

    public static int ScaleBytes => sizeof(ushort);

    public static int RowBytes(int elements) => elements;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> row, int eight)
    {
        UInt2 bytes = row.Cast<UInt2>()[eight];
        return new Float8(Floats(bytes.X), Floats(bytes.Y));
    }

    public static Float2 LoadScale(ArrayView<UInt4> scales, int token) => new(F16.ToFloat(scales.Cast<ushort>()[token]), 0);

    public static PageScale ScaleOf(float least, float most) =>
        new(PageCodes.F16Above((most > -least ? most : -least) * (1f / Most)), 0);

    public static void Store(ArrayView<UInt4> row, int eight, Float8 values, PageScale scale) =>
        row.Cast<UInt2>()[eight] = new UInt2(Bytes(values.Low, scale.Inverse), Bytes(values.High, scale.Inverse));

    public static void StoreScale(ArrayView<UInt4> scales, int token, PageScale scale) => scales.Cast<ushort>()[token] = F16.FromFloat(scale.Scale);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(float* values, byte* row, int count, PageScale scale)
    {
        var inverse = Vector512.Create(scale.Inverse);
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<int> codes = PageCodes.Nearest(Vector512.Load(values + i) * inverse, -Most, Most);
            Vector256<short> narrow = Vector256.Narrow(codes.GetLower(), codes.GetUpper());
            Vector128.Narrow(narrow.GetLower(), narrow.GetUpper()).Store((sbyte*)row + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadScales(byte* stored, int tokens, float* scales, float* zeros)
    {
        for (int i = 0; i < tokens; i += CpuVectors.Width)
        {
            F16Vectors.Load((ushort*)stored + i).Store(scales + i);
            Vector512<float>.Zero.Store(zeros + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Vector512.ConvertToSingle(
        Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)elements))
            : Vector512.Create(Avx2.ConvertToVector256Int32((sbyte*)elements), Avx2.ConvertToVector256Int32((sbyte*)elements + 8)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => First(elements + CpuVectors.Width);

    public static int ElementOf(int i) => i;

    public static int CodeMiddle => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void KeyCodes(byte* elements, out Vector512<short> a, out Vector512<short> b)
    {
        a = Avx512BW.ConvertToVector512Int16(Vector256.Load((sbyte*)elements));
        b = Avx512BW.ConvertToVector512Int16(Vector256.Load((sbyte*)elements + 32));
    }

    public static int KeyElementOf(int i) => i;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ValueCodes(
        byte* first, byte* second, out Vector512<short> a, out Vector512<short> b, out Vector512<short> c, out Vector512<short> d)
    {
        (Vector256<sbyte> x, Vector256<sbyte> y) = (Vector256.Load((sbyte*)first), Vector256.Load((sbyte*)second));
        a = Avx512BW.ConvertToVector512Int16(Avx2.UnpackLow(x, y));
        b = Avx512BW.ConvertToVector512Int16(Avx2.UnpackHigh(x, y));
        (x, y) = (Vector256.Load((sbyte*)first + 32), Vector256.Load((sbyte*)second + 32));
        c = Avx512BW.ConvertToVector512Int16(Avx2.UnpackLow(x, y));
        d = Avx512BW.ConvertToVector512Int16(Avx2.UnpackHigh(x, y));
    }

    public static int ValueElementOf(int i) => (32 * (i / 32)) + PageCodes.UnpackedByte(i % 16) + (8 * (i / 16 % 2));

    private static Float4 Floats(uint bytes) => new(Signed(bytes << 24), Signed(bytes << 16), Signed(bytes << 8), Signed(bytes));

    // The uppermost byte.
    private static float Signed(uint bytes) => (int)bytes >> 24;

    private static uint Bytes(Float4 x, float inverse) =>
        Byte(x.X, inverse) | (Byte(x.Y, inverse) << 8) | (Byte(x.Z, inverse) << 16) | (Byte(x.W, inverse) << 24);

    private static uint Byte(float x, float inverse) => (uint)PageCodes.Nearest(x * inverse, -Most, Most) & 0xffu;
}

/// <summary>
/// Nibbles 0 … 15, the first in a word's lowest bits, and an f16 scale and an f16 zero a row: zero is rounded down and the scale up, so
/// that no element is cut off. They are loaded as −8 … 7, with the zero that belongs to 8: sums of numbers around 0 lose nothing to each other.
/// On a CPU the first, second, third and fourth of every eight, then the others.
/// </summary>
internal readonly unsafe partial struct Int4PageFormat : IPageFormat
{
    private const int Most = 15;
    private const int Middle = 8;

    public static bool IsQuantized => true;

    public static int DimStep => 32;

    public static int ScaleBytes => 2 * sizeof(ushort);

    public static int RowBytes(int elements) => elements >> 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> row, int eight)
    {
        uint word = row.Cast<uint>()[eight];
        return new Float8(Floats(word), Floats(word >> 16));
    }

    public static Float2 LoadScale(ArrayView<UInt4> scales, int token)
    {
        uint pair = scales.Cast<uint>()[token];
        float scale = F16.ToFloat((ushort)pair);
        return new Float2(scale, F16.ToFloat((ushort)(pair >> 16)) + (Middle * scale));
    }

    public static PageScale ScaleOf(float least, float most)
    {
        float zero = PageCodes.F16Below(least);
        return new PageScale(PageCodes.F16Above((most - zero) * (1f / Most)), zero);
    }

    public static void Store(ArrayView<UInt4> row, int eight, Float8 values, PageScale scale) =>
        row.Cast<uint>()[eight] = Nibbles(values.Low, scale) | (Nibbles(values.High, scale) << 16);

    public static void StoreScale(ArrayView<UInt4> scales, int token, PageScale scale) =>
        scales.Cast<uint>()[token] = F16.FromFloat(scale.Scale) | ((uint)F16.FromFloat(scale.Zero) << 16);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(float* values, byte* row, int count, PageScale scale)
    {
        var inverse = Vector512.Create(scale.Inverse);
        var zero = Vector512.Create(scale.Zero);
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<int> codes = PageCodes.Nearest((Vector512.Load(values + i) - zero) * inverse, 0, Most);

            // Two neighbours become the lower byte of eight bytes.
            Vector512<ulong> pairs = codes.AsUInt64() | (codes.AsUInt64() >> 28);
            for (int byteIndex = 0; byteIndex < CpuVectors.Width / 2; byteIndex++)
                row[(i / 2) + byteIndex] = (byte)pairs[byteIndex];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadScales(byte* stored, int tokens, float* scales, float* zeros)
    {
        for (int i = 0; i < tokens; i += CpuVectors.Width)
        {
            var pairs = Vector512.Load((int*)stored + i);
            Vector512<float> scale = F16Vectors.Load((pairs << 16) >> 16);
            scale.Store(scales + i);
            (F16Vectors.Load(pairs >> 16) + (scale * Middle)).Store(zeros + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Centred(
        elements, Vector512.Create(0u, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => Centred(
        elements, Vector512.Create(16u, 16, 16, 16, 20, 20, 20, 20, 24, 24, 24, 24, 28, 28, 28, 28));

    public static int ElementOf(int i) => (i % 4 * 8) + (i / 4);

    public static int CodeMiddle => Middle;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void KeyCodes(byte* elements, out Vector512<short> a, out Vector512<short> b)
    {
        Vector512<short> bytes = Avx512BW.ConvertToVector512Int16(Vector256.Load(elements));
        a = bytes & Vector512.Create((short)15);
        b = bytes >>> 4;
    }

    public static int KeyElementOf(int i) => (2 * (i % 32)) + (i / 32);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ValueCodes(
        byte* first, byte* second, out Vector512<short> a, out Vector512<short> b, out Vector512<short> c, out Vector512<short> d)
    {
        (Vector256<byte> x, Vector256<byte> y) = (Vector256.Load(first), Vector256.Load(second));
        Vector512<short> low = Avx512BW.ConvertToVector512Int16(Avx2.UnpackLow(x, y));
        Vector512<short> high = Avx512BW.ConvertToVector512Int16(Avx2.UnpackHigh(x, y));
        a = low & Vector512.Create((short)15);
        b = low >>> 4;
        c = high & Vector512.Create((short)15);
        d = high >>> 4;
    }

    public static int ValueElementOf(int i) => (2 * (PageCodes.UnpackedByte(i % 16) + (8 * (i / 32)))) + (i / 16 % 2);

    // Four words of eight nibbles four times over, each time shifted to another nibble: with AVX-512 its value is looked up, whatever is above it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Centred(byte* elements, Vector512<uint> shifts)
    {
        if (Avx512F.IsSupported)
        {
            Vector512<uint> shifted = Avx512F.ShiftRightLogicalVariable(Avx512F.BroadcastVector128ToVector512((uint*)elements), shifts);
            return Avx512F.PermuteVar16x32(
                Vector512.Create(-8f, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7), shifted.AsInt32());
        }

        var words = Vector128.Load((uint*)elements);
        var twice = Vector256.Create(words, words);
        var nibbles = Vector512.Create(
            Avx2.ShiftRightLogicalVariable(twice, shifts.GetLower()), Avx2.ShiftRightLogicalVariable(twice, shifts.GetUpper()));
        return Vector512.ConvertToSingle((nibbles & Vector512.Create(15u)).AsInt32() - Vector512.Create(Middle));
    }

    private static Float4 Floats(uint nibbles) =>
        new(Centred(nibbles), Centred(nibbles >> 4), Centred(nibbles >> 8), Centred(nibbles >> 12));

    private static float Centred(uint nibble) => (int)(nibble & 15u) - Middle;

    private static uint Nibbles(Float4 x, PageScale scale) =>
        Nibble(x.X, scale) | (Nibble(x.Y, scale) << 4) | (Nibble(x.Z, scale) << 8) | (Nibble(x.W, scale) << 12);

    private static uint Nibble(float x, PageScale scale) => (uint)PageCodes.Nearest((x - scale.Zero) * scale.Inverse, 0, Most);
}

/// <summary>Rounding of elements to codes, and of their bounds to f16.</summary>
internal static class PageCodes
{
    private const float Largest = 65504;

    // 1.5 · 2^23: adding it rounds to an integer, which the last bits of the sum hold.
    private const float Rounder = 12582912;
    private const int RounderBits = 0x4b400000;

    /// <summary>The least f16 that is no less than x, at most the largest; NaN stays NaN.</summary>
    public static float F16Above(float x) => -F16Below(-x);

    /// <summary>The largest f16 that is no more than x, at least the least; NaN stays NaN.</summary>
    public static float F16Below(float x)
    {
        x = x < -Largest ? -Largest : x > Largest ? Largest : x;
        ushort bits = F16.FromFloat(x);
        float value = F16.ToFloat(bits);
        return value > x ? F16.ToFloat((ushort)(value > 0 ? bits - 1 : bits + 1)) : value;
    }

    /// <summary>Which of 32 bytes pair i is of, where the lower halves of two sixteens of them have been unpacked.</summary>
    public static int UnpackedByte(int i) => i < 8 ? i : i + 8;

    /// <summary>The nearest integer, ties to even, between two bounds.</summary>
    public static int Nearest(float x, int least, int most)
    {
        x = x < least ? least : x > most ? most : x;
        return (int)Interop.FloatAsInt(x + Rounder) - RounderBits;
    }

    /// <summary>The same sixteen times.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Nearest(Vector512<float> x, int least, int most)
    {
        x = Vector512.Min(Vector512.Max(x, Vector512.Create((float)least)), Vector512.Create((float)most));
        return (x + Vector512.Create(Rounder)).AsInt32() - Vector512.Create(RounderBits);
    }
}
