using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the shares of CPU threads have in common. They are written once, over vectors of sixteen floats: one register with AVX-512, two
/// with AVX2, as .NET splits them. Where the two need different instructions, a share asks for <see cref="Avx512F"/>.
/// </summary>
internal static unsafe class CpuVectors
{
    /// <summary>Floats of a vector.</summary>
    public const int Width = 16;

    // Floats and whole alignment behind what is asked for.
    private const int AlignmentFloats = 16;

    [ThreadStatic]
    private static float[]? scratch;

    /// <summary>Whether shares run on this machine; where not, plain loops do.</summary>
    public static bool AreSupported => Avx2.IsSupported && Fma.IsSupported;

    /// <summary>
    /// Memory of this thread for so many floats, at a multiple of 64 bytes, until the thread asks again. What was in it is lost.
    /// </summary>
    public static float* Scratch(long floats)
    {
        if (scratch is null || scratch.Length < floats + AlignmentFloats)
            scratch = GC.AllocateUninitializedArray<float>(checked((int)floats + AlignmentFloats), pinned: true);
        return (float*)(((nint)Unsafe.AsPointer(ref scratch[0]) + 63) & ~63);
    }

    /// <summary>
    /// e^x, within 2 units in the last place of float; 0 below −87.3, where results would be subnormal, ∞ above 88.7; NaN stays NaN.
    /// </summary>
    /// <remarks>x = n·ln 2 + r, |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 7, whose rest is below 2^-27.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // 1.5 · 2^23: adding it rounds to an integer, which the last bits of the sum hold.
        Vector512<float> rounder = Vector512.Create(12582912f);
        Vector512<float> clamped = Vector512.Max(Vector512.Min(x, Vector512.Create(89f)), Vector512.Create(-88f));
        Vector512<float> shifted = Vector512.FusedMultiplyAdd(clamped, Vector512.Create(1.442695041f), rounder);
        Vector512<float> n = shifted - rounder;
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), clamped);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = Vector512.Create(1 / 5040f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1 / 720f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1 / 120f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1 / 24f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1 / 6f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);

        // 2^n in two halves, so that e^88.7, whose n is 128, overflows only where the result does.
        Vector512<int> power = shifted.AsInt32() - rounder.AsInt32();
        Vector512<int> half = power >> 1;
        Vector512<int> bias = Vector512.Create(127);
        p *= ((half + bias) << 23).AsSingle();
        p *= ((power - half + bias) << 23).AsSingle();
        p = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(-87.33655f)), Vector512<float>.Zero, p);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), p, x);
    }

    /// <summary>The largest of the sixteen; anything where one of them is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector512<float> x)
    {
        Vector256<float> eight = Vector256.Max(x.GetLower(), x.GetUpper());
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return Math.Max(Math.Max(four[0], four[1]), Math.Max(four[2], four[3]));
    }

    /// <summary>1 / (1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x) => Vector512<float>.One / (Vector512<float>.One + Exp(-x));

    /// <summary>x / (1 + e^−x): x times its sigmoid.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Silu(Vector512<float> x) => x / (Vector512<float>.One + Exp(-x));

    /// <summary>ln(1 + e^x) to a few units in the last place of the result, however small.</summary>
    /// <remarks>max(x, 0) + 2 atanh(s), s = e / (2 + e) ≤ 1/3 with e = e^−|x|, by seven terms of the series, as the gates' scalar code.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Softplus(Vector512<float> x)
    {
        Vector512<float> e = Exp(-Vector512.Abs(x));
        Vector512<float> s = e / (Vector512.Create(2f) + e);
        Vector512<float> s2 = s * s;
        Vector512<float> series = Vector512.Create(1f / 13);
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512.Create(1f / 11));
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512.Create(1f / 9));
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512.Create(1f / 7));
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512.Create(1f / 5));
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512.Create(1f / 3));
        series = Vector512.FusedMultiplyAdd(series, s2, Vector512<float>.One);
        return Vector512.Max(x, Vector512<float>.Zero) + ((s + s) * series);
    }

    /// <summary>The sums of four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        Vector128<float> left = Pairs(Quarter(a), Quarter(b));
        Vector128<float> right = Pairs(Quarter(c), Quarter(d));
        return Sse.MoveLowToHigh(left, right) + Sse.MoveHighToLow(right, left);
    }

    /// <summary>Σ x², in an order that the count decides.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SumOfSquares(float* values, int count)
    {
        Vector512<float> even = default;
        Vector512<float> odd = default;
        for (int i = 0; i < count; i += 2 * Width)
        {
            Vector512<float> value = LoadFirst(values + i, count - i);
            even = Vector512.FusedMultiplyAdd(value, value, even);
            if (count - i <= Width)
                break;
            value = LoadFirst(values + i + Width, count - i - Width);
            odd = Vector512.FusedMultiplyAdd(value, value, odd);
        }

        return Vector512.Sum(even + odd);
    }

    /// <summary>Up to sixteen floats, zeros behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadFirst(float* from, int count)
    {
        if (count >= Width)
            return Vector512.Load(from);
        return Avx512F.IsSupported ? Avx512F.MaskLoad(from, First(count), Vector512<float>.Zero) : LoadTail(from, count);
    }

    /// <summary>The first of sixteen floats, at most all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(Vector512<float> values, float* to, int count)
    {
        if (count >= Width)
            values.Store(to);
        else if (Avx512F.IsSupported)
            Avx512F.MaskStore(to, First(count), values);
        else
            StoreTail(values, to, count);
    }

    /// <summary>Where a view lies; null if it is empty, because such a view has no first element.</summary>
    public static T* Pointer<T>(ArrayView<T> view)
        where T : unmanaged => view.Length == 0 ? null : (T*)Unsafe.AsPointer(ref view[0]);

    /// <summary>Where a row of a matrix lies.</summary>
    public static T* Row<T>(Matrix<T> matrix, int row)
        where T : unmanaged => Pointer(matrix.Data) + ((long)row * matrix.Stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Quarter(Vector512<float> x)
    {
        Vector256<float> half = x.GetLower() + x.GetUpper();
        return half.GetLower() + half.GetUpper();
    }

    // a0 + a2, b0 + b2, a1 + a3, b1 + b3.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Pairs(Vector128<float> a, Vector128<float> b) => Sse.UnpackLow(a, b) + Sse.UnpackHigh(a, b);

    // All bits of the first lanes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> First(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    // Only with AVX2: a vector that a call returns passes through memory, where the compiler then leaves those of the loop, too.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<float> LoadTail(float* from, int count)
    {
        float* whole = stackalloc float[Width];
        for (int i = 0; i < Width; i++)
            whole[i] = i < count ? from[i] : 0;
        return Vector512.Load(whole);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreTail(Vector512<float> values, float* to, int count)
    {
        float* whole = stackalloc float[Width];
        values.Store(whole);
        for (int i = 0; i < count; i++)
            to[i] = whole[i];
    }
}
