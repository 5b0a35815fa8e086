namespace QwenIlgpu;

/// <summary>One sequence's part in a step.</summary>
/// <param name="Slot">Its slot: page table row, delta state, conv tail, sampling parameters.</param>
/// <param name="Position">Tokens already in its cache: the position of the first token of this step.</param>
/// <param name="Tokens">Tokens to feed.</param>
/// <param name="Logits">Rows whose logits are computed.</param>
/// <param name="Targets">The token behind each of these, whose log-probability is wanted; empty where none is.</param>
internal readonly record struct StepSequence(
    int Slot, int Position, ReadOnlyMemory<int> Tokens, LogitsWanted Logits, ReadOnlyMemory<int> Targets = default)
{
    public int LogitRows => Logits switch
    {
        LogitsWanted.None => 0,
        LogitsWanted.Last => 1,
        _ => Tokens.Length,
    };
}

/// <summary>Rows of a sequence's part in a step whose logits are computed.</summary>
internal enum LogitsWanted
{
    None,
    Last,

    /// <summary>Every row's, to be read by the host: no more than <see cref="ScoreOutput.MostRows"/> in a step.</summary>
    All,
}
