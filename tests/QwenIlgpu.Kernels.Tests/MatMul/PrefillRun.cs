using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>32 tokens × 64 rows, for groups of 64 threads.</summary>
internal readonly struct ToyPrefillTile : IPrefillTile
{
    public static int Warps => 2;

    public static int TokenTiles => 4;
}

/// <summary>The prefill matmul of seeded x [M, K] with any tile: what it yields and what it should.</summary>
internal sealed class PrefillRun(TestDevice device, int m, int k)
{
    private const float Eps = 1e-6f;

    /// <summary>[M, K]</summary>
    public float[] X { get; init; } = Seeded.Floats(m + (7 * k), m * k);

    public Operand16 Operand { get; init; }

    /// <summary>Seed of the norm's weight; 0: no norm.</summary>
    public int NormSeed { get; init; }

    public PrefillRows Pack()
    {
        if (device.Accelerator.AcceleratorType == AcceleratorType.CPU)
            return PackOnHost();
        var packed = new PrefillRows(device.Poisoned<UInt4>(PrefillRows.Length(m, k)), m, k, Operand);
        ArrayView<float> norm = NormSeed == 0 ? default : device.Upload(Seeded.Floats(NormSeed, k));
        device.Run(PrefillMatMul.BindRound(device.Loader, new MatMulRows(device.Upload(X, m, k), norm, Eps), packed));
        return packed;
    }

    /// <summary>y of one projection.</summary>
    public float[] Y(DecodeWeights weights, int n) => Y<WidePrefillTile>(weights, n);

    public float[] Y<TTile>(DecodeWeights weights, int n)
        where TTile : struct, IPrefillTile
    {
        Matrix<float> y = device.Poisoned<float>(m, n);
        Run<TTile>([new Projection(weights.Upload(device), y)], default);
        return device.Download(y);
    }

    /// <summary>The projections' y; launched twice, as tickets must be there for a second launch.</summary>
    public void Run<TTile>(Projection[] projections, Epilogue finish)
        where TTile : struct, IPrefillTile
    {
        PrefillPlan plan = PrefillPlan.Of<TTile>(m, k, [.. projections.Select(p => p.Weight.Rows)], finish.SwiGlu);
        var scratch = new MatMulScratch(
            plan.ScratchFloats > 0 ? device.Poisoned<float>(plan.ScratchFloats) : default,
            plan.Tickets > 0 ? device.Upload(new int[plan.Tickets]) : default);
        Launch launch = PrefillMatMul.Bind<TTile>(device.Loader, Pack(), projections, finish, scratch);
        device.Run(launch);
        if (plan.Tickets > 0)
            device.Run(launch);
    }

    /// <summary>
    /// The largest |y − reference| in units of what is allowed, infinite where an output is NaN: 1.02 · u · Σ|w · x|, as of a decode matmul:
    /// codes less zero points are exact, x alone is rounded, by u at most; scales apply to sums in f32.
    /// </summary>
    public double Deviation(float[] y, DecodeWeights weights, int n)
    {
        double worst = DecodeRun.Deviation(y, X, weights.Values, m, n, k, Operand);
        TestContext.Out.WriteLine($"{worst:F3} of what is allowed");
        return worst;
    }

    // Where a group cannot have the 256 threads of the packing kernel.
    private PrefillRows PackOnHost()
    {
        var words = new UInt4[PrefillRows.Length(m, k)];
        Span<ushort> elements = MemoryMarshal.Cast<UInt4, ushort>(words.AsSpan());
        for (int i = 0; i < X.Length; i++)
            elements[(i / k * (elements.Length / m)) + (i % k)] = Bf16.FromFloat(X[i]);
        return new PrefillRows(device.Upload(words), m, k, Operand);
    }
}
