namespace QwenIlgpu.Kernels.Tests;

/// <summary>A layer's weights and one sequence's projections from its first token on, seeded.</summary>
internal sealed class DeltaStepSequence
{
    public const float Eps = 1e-6f;

    private readonly DeltaShape shape;

    /// <summary>Sequences of one layer share its seed.</summary>
    public DeltaStepSequence(DeltaShape shape, int rows, int layerSeed, int seed)
    {
        this.shape = shape;
        var layer = new Random(layerSeed);
        Conv1d = Uniform(layer, shape.Channels * 4, -0.6f, 0.6f);
        ALog = Uniform(layer, shape.ValueHeads, -4, 0.5f);
        DtBias = Uniform(layer, shape.ValueHeads, -2, 1);
        Norm = Uniform(layer, shape.ValueHeadDim, 0.5f, 1.5f);
        var random = new Random(seed);
        Mixed = Uniform(random, rows * shape.Channels, -2, 2);
        Z = Uniform(random, rows * shape.ValueChannels, -2, 2);
        B = Uniform(random, rows * shape.ValueHeads, -3, 3);
        A = Uniform(random, rows * shape.ValueHeads, -3, 3);
        State = Uniform(random, shape.StateLength, -1, 1);
    }

    public float[] Conv1d { get; }

    public float[] ALog { get; }

    public float[] DtBias { get; }

    public float[] Norm { get; }

    public float[] Mixed { get; private init; }

    public float[] Z { get; private init; }

    public float[] B { get; private init; }

    public float[] A { get; private init; }

    /// <summary>[Hv, Dv, Dk], for a sequence that does not enter at its first token.</summary>
    public float[] State { get; }

    public int Rows => A.Length / shape.ValueHeads;

    /// <summary>Rows start .. start + rows − 1 of a [Rows, width] matrix.</summary>
    public static float[] Slice(float[] values, int width, int start, int rows) => values[(start * width)..((start + rows) * width)];

    /// <summary>The sequence of these tokens only: what is left when others were rejected.</summary>
    public DeltaStepSequence Only(params int[] rows)
    {
        float[] Pick(float[] values, int width) => [.. rows.SelectMany(r => Slice(values, width, r, 1))];
        return new DeltaStepSequence(this, Pick(Mixed, shape.Channels), Pick(Z, shape.ValueChannels), Pick(B, shape.ValueHeads), Pick(A, shape.ValueHeads));
    }

    /// <summary>The definition over rows start … Rows − 1, entered with the random state, or with zeros at the first token.</summary>
    public (double[] Y, double[] State) Reference(int start)
    {
        double[] state = start == 0 ? new double[State.Length] : Seeded.ToDouble(State);
        var inputs = new DeltaStepReferenceInputs(
            Seeded.ToDouble(Mixed), Seeded.ToDouble(Z), Seeded.ToDouble(B), Seeded.ToDouble(A), Seeded.ToDouble(Conv1d), Seeded.ToDouble(ALog), Seeded.ToDouble(DtBias), Seeded.ToDouble(Norm), Eps);
        return (DeltaStepReference.Run(inputs, shape, start, state), state);
    }

    private DeltaStepSequence(DeltaStepSequence of, float[] mixed, float[] z, float[] b, float[] a)
    {
        (shape, Conv1d, ALog, DtBias, Norm, State) = (of.shape, of.Conv1d, of.ALog, of.DtBias, of.Norm, of.State);
        (Mixed, Z, B, A) = (mixed, z, b, a);
    }

    private static float[] Uniform(Random random, int length, float low, float high) =>
        [.. Enumerable.Range(0, length).Select(_ => low + ((high - low) * random.NextSingle()))];
}
