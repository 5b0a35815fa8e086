using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the shares of both roundings to nearest do alike: rows of plain weights as floats, the largest of a group, sixteen weights as whole
/// steps of a scale, and the lanes of a tile. Bits are those of the plain loops.
/// </summary>
internal static unsafe class RoundedRows
{
    // 1.5 · 2^23: adding it rounds to an integer, ties to even, which the last bits of the sum hold.
    private const float Rounder = 12582912f;

    /// <summary>The storage that a weight format stands for.</summary>
    public static WeightType TypeOf<TWeight>()
        where TWeight : struct, IWeightFormat =>
        typeof(TWeight) == typeof(F32Weights) ? WeightType.F32 : typeof(TWeight) == typeof(F16Weights) ? WeightType.F16 : WeightType.Bf16;

    /// <summary>Columns of a row of w [R, K] as floats, zeros up to <paramref name="width"/>, a multiple of 16; all zeros behind the last row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Expand(Matrix<UInt4> w, WeightType type, int row, int columns, float* values, int width)
    {
        int k = 0;
        if (row < w.Rows)
        {
            UInt4* words = CpuVectors.Row(w, row);
            int whole = columns / CpuVectors.Width * CpuVectors.Width;
            for (; k < whole; k += CpuVectors.Width)
                Load(words, type, k).Store(values + k);
            for (; k < columns; k++)
            {
                values[k] = type switch
                {
                    WeightType.F32 => ((float*)words)[k],
                    WeightType.F16 => F16.ToFloat(((ushort*)words)[k]),
                    _ => Bf16.ToFloat(((ushort*)words)[k]),
                };
            }
        }

        for (; k < width; k++)
            values[k] = 0;
    }

    /// <summary>The largest magnitude among so many values, a multiple of 16; NaN does not count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(float* values, int count)
    {
        Vector512<float> largest = default;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            var magnitude = Vector512.Abs(Vector512.Load(values + i));
            largest = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, largest), magnitude, largest);
        }

        Vector256<float> half = Vector256.Max(largest.GetLower(), largest.GetUpper());
        Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return Math.Max(Math.Max(quarter[0], quarter[1]), Math.Max(quarter[2], quarter[3]));
    }

    /// <summary>Sixteen weights in whole steps of a scale, ties to even, none below least (NaN is least) or above most; zeros if the scale is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Steps(float* weights, float scale, float least, float most)
    {
        if (scale == 0)
            return default;
        Vector512<float> lower = Vector512.Create(least);
        Vector512<float> upper = Vector512.Create(most);
        Vector512<float> steps = Vector512.Load(weights) / Vector512.Create(scale);
        steps = Vector512.ConditionalSelect(Vector512.GreaterThan(steps, lower), steps, lower);
        steps = Vector512.ConditionalSelect(Vector512.GreaterThan(steps, upper), upper, steps);
        return (steps + Vector512.Create(Rounder)).AsInt32() - Vector512.Create(Rounder).AsInt32();
    }

    /// <summary>Of eight numbers of 16 bits in 32 each, two neighbours in the lower half of each 64; the upper half is anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Pair(Vector256<int> numbers) => numbers.AsUInt64() | (numbers.AsUInt64() >> 16);

    /// <summary>Lower halves of a and b side by side: word 2i from a, 2i + 1 from b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Zip(Vector256<ulong> a, Vector256<ulong> b) => (a & Vector256.Create(0xffffffffUL)) | (b << 32);

    /// <summary>Four lanes of 16 bytes: of lane t the first eight from element t of first, the last eight of second.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreLanes(ulong* lanes, Vector256<ulong> first, Vector256<ulong> second)
    {
        for (int t = 0; t < 4; t++)
        {
            lanes[2 * t] = first[t];
            lanes[(2 * t) + 1] = second[t];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load(UInt4* words, WeightType type, int k)
    {
        if (type == WeightType.F32)
            return Vector512.Load((float*)words + k);
        Vector256<ushort> packed = Vector256.Load((ushort*)words + k);
        Vector512<uint> bits = Vector512.Create(Vector256.WidenLower(packed), Vector256.WidenUpper(packed));
        return type == WeightType.Bf16 ? (bits << 16).AsSingle() : FromF16(bits);
    }

    // As F16.ToFloat does it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> FromF16(Vector512<uint> bits)
    {
        Vector512<uint> magnitude = bits & Vector512.Create(0x7fffu);
        Vector512<uint> finite = ((magnitude << 13).AsSingle() * Vector512.Create(0x77800000u).AsSingle()).AsUInt32();
        Vector512<uint> special = Vector512.Create(0x7f800000u) | (magnitude << 13);
        Vector512<uint> sign = (bits & Vector512.Create(0x8000u)) << 16;
        return (sign | Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7bffu)), special, finite)).AsSingle();
    }
}
