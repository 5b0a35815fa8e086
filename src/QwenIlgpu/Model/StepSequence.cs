using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>One sequence's part in a step.</summary>
/// <param name="Slot">Its slot: page table row, delta state, conv tail, sampling parameters.</param>
/// <param name="Position">Tokens already in its cache: the position of the first token of this step.</param>
/// <param name="Tokens">Tokens to feed.</param>
/// <param name="Logits">Rows whose logits are computed.</param>
/// <param name="Targets">The token behind each of these, whose log-probability is wanted; empty where none is.</param>
/// <param name="Snapshots">In prefill, states that other slots take; null for none.</param>
internal readonly record struct StepSequence(
    int Slot, int Position, ReadOnlyMemory<int> Tokens, LogitsWanted Logits, ReadOnlyMemory<int> Targets = default,
    IReadOnlyList<StateSnapshot>? Snapshots = null)
{
    /// <summary>Chunks of the delta rule that its tokens fall into.</summary>
    public int Chunks => ChunksTo(Position + Tokens.Length);

    public int LogitRows => Logits switch
    {
        LogitsWanted.None => 0,
        LogitsWanted.Last => 1,
        _ => Tokens.Length,
    };

    /// <summary>Which of its chunks ends with the snapshot's last token.</summary>
    /// <exception cref="ArgumentException">None does; the message has the step's tokens and the snapshot's.</exception>
    public int ChunkOf(StateSnapshot snapshot)
    {
        int end = Position + Tokens.Length;
        if (snapshot.Tokens <= Position || snapshot.Tokens > end || (snapshot.Tokens % ChunkList.ChunkRows != 0 && snapshot.Tokens != end))
        {
            throw new ArgumentException(
                $"a snapshot after {snapshot.Tokens} tokens of a step from token {Position} to {end}: it must be at its end or a multiple of 64 inside");
        }

        return ChunksTo(snapshot.Tokens) - 1;
    }

    private int ChunksTo(int end) => ((end + ChunkList.ChunkRows - 1) / ChunkList.ChunkRows) - (Position / ChunkList.ChunkRows);
}

/// <summary>
/// The recurrent state after so many tokens of a sequence: delta states and conv tails, as they are when the sequence's prompt ends there.
/// With the pages of those tokens in its table, the slot goes on from there as its owner did.
/// </summary>
/// <param name="Tokens">Tokens of the sequence; a multiple of 64, or the end of the step.</param>
/// <param name="Slot">The slot that takes the state; no sequence of the step may have it.</param>
internal readonly record struct StateSnapshot(int Tokens, int Slot);

/// <summary>Rows of a sequence's part in a step whose logits are computed.</summary>
internal enum LogitsWanted
{
    None,
    Last,

    /// <summary>Every row's, to be read by the host: no more than <see cref="Ops.MostLogitRows"/> in a step.</summary>
    All,
}
