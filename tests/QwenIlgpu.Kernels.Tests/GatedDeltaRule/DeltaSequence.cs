namespace QwenIlgpu.Kernels.Tests;

/// <summary>One sequence's normalised inputs of the gated delta rule and the state it enters with, seeded.</summary>
internal sealed class DeltaSequence
{
    private readonly DeltaShape shape;

    public DeltaSequence(DeltaShape shape, int rows, int seed)
    {
        this.shape = shape;
        var random = new Random(seed);
        float Uniform(float low, float high) => low + ((high - low) * random.NextSingle());
        double[] qkv = [.. Enumerable.Range(0, rows * shape.Channels).Select(_ => (double)Uniform(-1, 1))];
        Qkv = Array.ConvertAll(QkL2NormReference.Run(qkv, shape.Channels, shape.KeyHeads, shape.KeyHeadDim), v => (float)v);
        Beta = [.. Enumerable.Range(0, rows * shape.ValueHeads).Select(_ => Uniform(0, 1))];
        G = [.. Enumerable.Range(0, rows * shape.ValueHeads).Select(i => -MathF.Exp(Uniform(-6, 1.5f)))];
        State = [.. Enumerable.Range(0, shape.StateLength).Select(_ => Uniform(-1, 1))];
    }

    private DeltaSequence(DeltaShape shape, float[] qkv, float[] beta, float[] g, float[] state) =>
        (this.shape, Qkv, Beta, G, State) = (shape, qkv, beta, g, state);

    public float[] Qkv { get; }

    public float[] Beta { get; }

    public float[] G { get; }

    /// <summary>[Hv, Dv, Dk]</summary>
    public float[] State { get; }

    public int Rows => Qkv.Length / shape.Channels;

    /// <summary>The same with a decay of its own for each row: log of what is left of the state.</summary>
    public DeltaSequence WithDecays(Func<int, float> ofRow) =>
        new(shape, Qkv, Beta, [.. Enumerable.Range(0, G.Length).Select(i => ofRow(i / shape.ValueHeads))], State);

    /// <summary>Some of the rows, entering with another state.</summary>
    public DeltaSequence Slice(int start, int rows, float[] state) => new(
        shape,
        Qkv[(start * shape.Channels)..((start + rows) * shape.Channels)],
        Beta[(start * shape.ValueHeads)..((start + rows) * shape.ValueHeads)],
        G[(start * shape.ValueHeads)..((start + rows) * shape.ValueHeads)],
        state);

    /// <summary>
    /// The definition with the state rounded to a type where kernels store it: after the rows of each chunk and the last, and before the
    /// first.
    /// </summary>
    public (double[] Y, double[] State) Reference(int position, DeltaStateFormat format)
    {
        double Rounded(double value) => DeltaFixture.Rounded(format, (float)value);
        double[] state = position == 0 ? new double[State.Length] : Array.ConvertAll(State, v => Rounded(v));
        var y = new List<double>();
        for (int t = 0; t < Rows;)
        {
            int rows = Math.Min(Rows - t, ChunkList.RowsToBoundary(position + t));
            DeltaSequence chunk = Slice(t, rows, State);
            y.AddRange(GatedDeltaRuleReference.Run(Seeded.ToDouble(chunk.Qkv), Seeded.ToDouble(chunk.Beta), Seeded.ToDouble(chunk.G), shape, state));
            state = Array.ConvertAll(state, Rounded);
            t += rows;
        }

        return ([.. y], state);
    }

    /// <summary>The definition in double precision, from zeros where the sequence starts.</summary>
    public (double[] Y, double[] State) Reference(int position)
    {
        double[] state = position == 0 ? new double[State.Length] : Seeded.ToDouble(State);
        return (GatedDeltaRuleReference.Run(Seeded.ToDouble(Qkv), Seeded.ToDouble(Beta), Seeded.ToDouble(G), shape, state), state);
    }
}
