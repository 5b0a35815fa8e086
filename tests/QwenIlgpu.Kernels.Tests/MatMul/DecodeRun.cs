using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>One projection of the decode matmul with seeded operands: what it yields and what it should.</summary>
internal sealed class DecodeRun
{
    private const float Eps = 1e-6f;

    private readonly DecodeWeights weights;
    private readonly int n;
    private readonly int k;
    private readonly int m;

    public DecodeRun(DecodeWeights weights, int n, int k, int m)
    {
        (this.weights, this.n, this.k, this.m) = (weights, n, k, m);
        X = Seeded.Floats(m + (7 * k), m * k);
    }

    public static TestDevice Device => WarpDevice.Named(WarpDevice.Usual);

    /// <summary>[M, K]</summary>
    public float[] X { get; init; }

    public Operand16 Operand { get; init; }

    /// <summary>Where it runs.</summary>
    public TestDevice On { get; init; } = Device;

    /// <summary>Seed of the norm's weight; 0: no norm.</summary>
    public int NormSeed { get; init; }

    /// <summary>Scratch of any content and tickets for a launch.</summary>
    public static MatMulScratch Scratch(int m, int k, int[] rows, bool swiGlu = false, bool argMax = false, TestDevice? on = null)
    {
        DecodePlan plan = DecodePlan.Of(m, k, rows, swiGlu, argMax);
        TestDevice device = on ?? Device;
        return new MatMulScratch(
            plan.ScratchFloats > 0 ? device.Poisoned<float>(plan.ScratchFloats) : default,
            plan.Tickets > 0 ? device.Upload(new int[plan.Tickets]) : default);
    }

    public float[] Y()
    {
        Matrix<float> y = On.Poisoned<float>(m, n);
        ArrayView<float> norm = NormSeed == 0 ? default : On.Upload(Seeded.Floats(NormSeed, k));
        On.Run(DecodeMatMul.Bind(
            On.Loader,
            new MatMulRows(On.Upload(X, m, k), norm, Eps),
            [new Projection(weights.Upload(On), y)],
            default,
            Operand,
            Scratch(m, k, [n], on: On)));
        return On.Download(y);
    }

    /// <summary>
    /// The largest |y − reference| in units of what is allowed, infinite where an output is NaN: 1.02 · u · Σ|w · x|. u, half a unit in the
    /// last place of x as rounded to the operand type, is all that rounding to 8 (bf16) or 11 (f16) bits can cost; weights are exact, and
    /// sums in f32 add 2^-23 of Σ|w · x| for each of at most some hundred roundings.
    /// </summary>
    public double Deviation(float[] y)
    {
        double worst = Deviation(y, X, weights.Values, m, n, k, Operand);
        TestContext.Out.WriteLine($"{worst:F3} of what is allowed");
        return worst;
    }

    /// <summary>The same of any x [M, K] and weights [N, K].</summary>
    public static double Deviation(float[] y, float[] x, double[] weights, int m, int n, int k, Operand16 operand)
    {
        double[] rows = Array.ConvertAll(x, v => (double)v);
        double[] expected = MatMulReference.Run(rows, weights, m, n, k);
        double[] magnitude = MatMulReference.Run(
            Array.ConvertAll(rows, Math.Abs), Array.ConvertAll(weights, Math.Abs), m, n, k);
        double unit = 1.02 / (operand == Operand16.F16 ? 1 << 11 : 1 << 8);
        double worst = 0;
        for (int i = 0; i < y.Length; i++)
        {
            double deviation = Math.Abs(y[i] - expected[i]) / (unit * magnitude[i]);
            worst = Math.Max(worst, double.IsNaN(deviation) ? double.PositiveInfinity : deviation);
        }

        return worst;
    }
}
