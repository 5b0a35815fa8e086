namespace QwenIlgpu;

/// <summary>What a step's graph depends on; everything else of a step lies in <see cref="StepInputs"/>.</summary>
/// <param name="Kind">Decode (one row a sequence) or prefill.</param>
/// <param name="Rows">T: token rows, padding included.</param>
/// <param name="Sequences">B: sequences, padding included.</param>
/// <param name="LogitRows">R: rows whose logits are computed; 0 leaves the head out.</param>
/// <param name="Chunks">64-token pieces of the sequences, for the delta rule and its snapshots; 0 in decode.</param>
/// <param name="Samples">Whether a token is drawn for each logit row.</param>
/// <param name="ScoredRows">S: rows of which the log-probability of a given token is computed, and no logits are kept.</param>
/// <param name="Snapshots">Whether other slots take states at chunks' ends.</param>
internal readonly record struct StepShape(
    StepKind Kind, int Rows, int Sequences, int LogitRows, int Chunks, bool Samples, int ScoredRows = 0, bool Snapshots = false)
{
    /// <summary>Whether the step takes its tokens and positions from what the last sampling left on the device.</summary>
    public bool FeedsBack => Kind == StepKind.Decode && Samples;

    /// <summary>Decode steps are recorded for 1, 2, 4 … 64 rows; fewer sequences are padded to the next of these.</summary>
    public static int BucketOf(int sequences) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)sequences);

    public static StepShape Decode(int bucket, bool samples = true) => new(StepKind.Decode, bucket, bucket, bucket, 0, samples);

    public override string ToString() =>
        $"{(Kind == StepKind.Decode ? "decode" : "prefill")} T={Rows} B={Sequences} R={LogitRows}{(ScoredRows > 0 ? $" S={ScoredRows}" : "")}{(Samples ? "" : " no sampling")}";
}

internal enum StepKind
{
    Decode,
    Prefill,
}
