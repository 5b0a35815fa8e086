using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>
/// PTX's <c>ex2/lg2/rcp/rsqrt/sin/cos/tanh.approx.f32</c> (floating point, 9.7.3), 32 lanes at a time: computed in double and rounded to
/// float, so nearer than any device that keeps the manual's bounds. With <c>.ftz</c> subnormal operands and results become zeros of
/// their sign. NaN is <see cref="CanonicalNaN.Single"/>. Destinations may be sources.
/// </summary>
/// <remarks>The special cases are written from memory of PTX ISA 8.x, section 9.7.3; they were not compared with the manual.</remarks>
internal static class Approximations
{
    // ln(2)^k / k!: with |x| at most a half, what follows the 13th power is below 2^-57 of the whole.
    private static readonly double[] ExponentialTerms = Terms();

    /// <summary>2^x; 2^−∞ is +0.</summary>
    public static void Ex2(ReadOnlySpan<float> a, Span<float> d, bool ftz)
    {
        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
        {
            Vector512<float> x = Lanes.Load(a, i);
            (Vector512<double> low, Vector512<double> high) = Vector512.Widen(x);
            Vector512<float> power = Vector512.Narrow(Power(low), Power(high));
            Lanes.Store(Finish(power, ftz), d, i);
        }
    }

    /// <summary>Logarithm to base 2: −∞ of ±0, NaN of what is below.</summary>
    public static void Lg2(ReadOnlySpan<float> a, Span<float> d, bool ftz) => Each<Logarithm>(a, d, ftz);

    /// <summary>1 / x: ±∞ of ±0 and the other way round.</summary>
    public static void Reciprocal(ReadOnlySpan<float> a, Span<float> d, bool ftz) => Each<Inverse>(a, d, ftz);

    /// <summary>1 / √x: ±∞ of ±0, NaN of what is below.</summary>
    public static void ReciprocalSquareRoot(ReadOnlySpan<float> a, Span<float> d, bool ftz) => Each<InverseRoot>(a, d, ftz);

    /// <summary>NaN of ±∞.</summary>
    public static void Sine(ReadOnlySpan<float> a, Span<float> d, bool ftz) => Each<SineFunction>(a, d, ftz);

    /// <summary>NaN of ±∞.</summary>
    public static void Cosine(ReadOnlySpan<float> a, Span<float> d, bool ftz) => Each<CosineFunction>(a, d, ftz);

    /// <summary>±1 of ±∞; there is no <c>.ftz</c>.</summary>
    public static void Tanh(ReadOnlySpan<float> a, Span<float> d) => Each<HyperbolicTangent>(a, d, ftz: false);

    private static void Each<TFunction>(ReadOnlySpan<float> a, Span<float> d, bool ftz)
        where TFunction : struct, IFunction
    {
        Span<float> results = stackalloc float[Lanes.Count];
        for (int lane = 0; lane < Lanes.Count; lane++)
        {
            float x = a[lane];
            if (ftz && float.IsSubnormal(x))
                x = float.CopySign(0, x);
            results[lane] = (float)TFunction.Of(x);
        }

        for (int i = 0; i < Lanes.Count; i += Vector512<float>.Count)
            Lanes.Store(Finish(Lanes.Load<float>(results, i), ftz), d, i);
    }

    // Beyond the bounds a float is infinite or zero. NaN comes through as itself.
    private static Vector512<double> Power(Vector512<double> x)
    {
        Vector512<double> clamped = Vector512.Min(Vector512.Max(x, Vector512.Create(-200.0)), Vector512.Create(200.0));
        Vector512<double> whole = Vector512.Round(clamped);
        Vector512<double> part = clamped - whole;
        Vector512<double> sum = Vector512.Create(ExponentialTerms[^1]);
        for (int k = ExponentialTerms.Length - 2; k >= 0; k--)
            sum = (sum * part) + Vector512.Create(ExponentialTerms[k]);
        Vector512<long> exponent = Vector512.ConvertToInt64(whole) << 52;
        Vector512<double> power = (sum.AsInt64() + exponent).AsDouble();
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), power, x);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Finish(Vector512<float> value, bool ftz)
    {
        Vector512<uint> bits = value.AsUInt32();
        if (ftz)
        {
            Vector512<uint> isSmall = Vector512.LessThan(bits & Vector512.Create(0x7fffffffu), Vector512.Create(0x00800000u));
            bits = Vector512.ConditionalSelect(isSmall, bits & Vector512.Create(0x80000000u), bits);
        }

        Vector512<uint> isNumber = Vector512.Equals(value, value).AsUInt32();
        return Vector512.ConditionalSelect(isNumber, bits, Vector512.Create(CanonicalNaN.Single)).AsSingle();
    }

    private static double[] Terms()
    {
        double[] terms = new double[14];
        terms[0] = 1;
        for (int k = 1; k < terms.Length; k++)
            terms[k] = terms[k - 1] * Math.Log(2) / k;
        return terms;
    }

    private interface IFunction
    {
        static abstract double Of(double x);
    }

    private readonly struct Logarithm : IFunction
    {
        public static double Of(double x) => Math.Log2(x);
    }

    private readonly struct Inverse : IFunction
    {
        public static double Of(double x) => 1 / x;
    }

    private readonly struct InverseRoot : IFunction
    {
        public static double Of(double x) => 1 / Math.Sqrt(x);
    }

    private readonly struct SineFunction : IFunction
    {
        public static double Of(double x) => Math.Sin(x);
    }

    private readonly struct CosineFunction : IFunction
    {
        public static double Of(double x) => Math.Cos(x);
    }

    private readonly struct HyperbolicTangent : IFunction
    {
        public static double Of(double x) => Math.Tanh(x);
    }
}
