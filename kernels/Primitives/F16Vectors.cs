using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Sixteen f16 at a time, with the bits of <see cref="F16"/> but saturated: .NET has no instruction for them. Integers are signed, because
/// AVX2 compares no others.
/// </summary>
internal static unsafe class F16Vectors
{
    private const float Largest = 65504;
    private const float SmallestNormal = 6.103515625e-5f;   // 2^-14
    private const int Infinity = 0x7f800000;

    /// <summary>Sixteen f16 as floats, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(ushort* from) =>
        Load(Vector512.Create(Avx2.ConvertToVector256Int32((short*)from), Avx2.ConvertToVector256Int32((short*)from + 8)));

    /// <summary>The same of f16 that each are an integer with their sign extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(Vector512<int> bits)
    {
        Vector512<int> placed = (bits << 13) & Vector512.Create(0x0fffe000);

        // Below 2^-14 there is no leading one: it is put there and subtracted again. Products with subnormals would be slow.
        Vector512<int> normal = placed + Vector512.Create(112 << 23);
        Vector512<int> small = ((placed + Vector512.Create(113 << 23)).AsSingle() - Vector512.Create(SmallestNormal)).AsInt32();
        Vector512<int> value = Vector512.ConditionalSelect(Vector512.GreaterThan(Vector512.Create(1 << 23), placed), small, normal);
        Vector512<int> unbounded = Vector512.GreaterThan(placed, Vector512.Create(0x0f7fffff)) & Vector512.Create(Infinity);
        return (value | unbounded | (bits & Vector512.Create(int.MinValue))).AsSingle();
    }

    /// <summary>Rounds to nearest, ties to even, beyond ±65504 to that; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, ushort* to)
    {
        Vector512<int> bits = values.AsInt32();
        Vector512<int> magnitude = Saturated(bits & Vector512.Create(int.MaxValue));
        Vector512<int> small = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsInt32() - Vector512.Create(0x3f000000);
        Vector512<int> normal = (RoundedUp(magnitude) - Vector512.Create(112 << 23)) >> 13;
        Vector512<int> half = Vector512.ConditionalSelect(IsSmall(magnitude), small, normal);
        half = Vector512.ConditionalSelect(IsNaN(magnitude), Vector512.Create(0x7e00), half);
        half |= (bits >> 16) & Vector512.Create(0x8000);
        Vector256.Narrow(half.GetLower().AsUInt32(), half.GetUpper().AsUInt32()).Store(to);
    }

    /// <summary>Whole vectors of f16 as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(ushort* source, float* target, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            Load(source + i).Store(target + i);
    }

    /// <summary>Whole vectors of floats as f16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Narrow(float* source, ushort* target, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            Store(Vector512.Load(source + i), target + i);
    }

    // Of magnitudes, as the bits of floats, which compare as integers do: at most the largest f16, but NaN as it is.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Saturated(Vector512<int> magnitude)
    {
        Vector512<int> largest = Vector512.Create(Largest).AsInt32();
        return Vector512.ConditionalSelect(IsNaN(magnitude), magnitude, Vector512.Min(magnitude, largest));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> IsNaN(Vector512<int> magnitude) => Vector512.GreaterThan(magnitude, Vector512.Create(Infinity));

    // Below 2^-14 the steps of f16 are 2^-24, those of a float from 0.5 to 1.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> IsSmall(Vector512<int> magnitude) =>
        Vector512.GreaterThan(Vector512.Create(SmallestNormal).AsInt32(), magnitude);

    // To the next multiple of the last bit that f16 keeps where the rest is more than half, or half and that bit odd.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> RoundedUp(Vector512<int> magnitude) =>
        magnitude + Vector512.Create(0xfff) + ((magnitude >> 13) & Vector512<int>.One);
}
