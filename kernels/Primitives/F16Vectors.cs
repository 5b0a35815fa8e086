using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen f16 at a time, with the bits of <see cref="F16"/>: .NET has no instruction for them.</summary>
internal static unsafe class F16Vectors
{
    private const float Largest = 65504;

    /// <summary>Sixteen f16 as floats, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(ushort* from)
    {
        Vector512<uint> bits = Vector512.Create(
            Avx2.ConvertToVector256Int32(from).AsUInt32(), Avx2.ConvertToVector256Int32(from + 8).AsUInt32());
        Vector512<uint> magnitude = bits & Vector512.Create(0x7fffu);
        Vector512<uint> placed = magnitude << 13;

        // Below 2^-14 there is no leading one: it is put there and subtracted again. Products with subnormals would be slow.
        Vector512<uint> normal = placed + Vector512.Create(112u << 23);
        Vector512<uint> small = ((placed + Vector512.Create(113u << 23)).AsSingle() - Vector512.Create(6.103515625e-5f)).AsUInt32();
        Vector512<uint> value = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x400u)), small, normal);
        Vector512<uint> unbounded = placed | Vector512.Create(0x7f800000u);
        value = Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00u)), unbounded, value);
        return (value | ((bits & Vector512.Create(0x8000u)) << 16)).AsSingle();
    }

    /// <summary>Rounds to nearest, ties to even, beyond ±65504 to that; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, ushort* to)
    {
        Vector512<uint> bits = Round(values).AsUInt32();
        Vector512<uint> magnitude = bits & Vector512.Create(0x7fffffffu);
        Vector512<uint> normal = (magnitude - Vector512.Create(112u << 23)) >> 13;
        Vector512<uint> small = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(0x3f000000u);
        Vector512<uint> half = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x38800000u)), small, normal);
        half = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7f800000u)), Vector512.Create(0x7e00u), half);
        half |= (bits >> 16) & Vector512.Create(0x8000u);
        Vector256.Narrow(half.GetLower(), half.GetUpper()).Store(to);
    }

    /// <summary>What <see cref="Store"/> would keep of these floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> x)
    {
        Vector512<float> largest = Vector512.Create(Largest);
        Vector512<float> bounded = Vector512.ConditionalSelect(Vector512.GreaterThan(x, largest), largest, x);
        bounded = Vector512.ConditionalSelect(Vector512.LessThan(bounded, -largest), -largest, bounded);
        Vector512<uint> bits = bounded.AsUInt32();
        Vector512<uint> lastKept = (bits >> 13) & Vector512<uint>.One;
        Vector512<float> normal = ((bits + lastKept + Vector512.Create(0xfffu)) & Vector512.Create(~0x1fffu)).AsSingle();

        // Below 2^-14 the steps are 2^-24, those of a float from 0.5 to 1.
        Vector512<uint> sign = bits & Vector512.Create(0x80000000u);
        Vector512<float> step = (sign | Vector512.Create(0x3f000000u)).AsSingle();
        Vector512<float> small = (((bounded + step) - step).AsUInt32() | sign).AsSingle();
        Vector512<float> rounded = Vector512.ConditionalSelect(
            Vector512.LessThan(Vector512.Abs(bounded), Vector512.Create(6.103515625e-5f)), small, normal);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), rounded, x);
    }
}
