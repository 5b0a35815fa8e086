namespace QwenIlgpu;

/// <summary>A request on its way through the engine, whose thread calls all of it but <see cref="Sit"/>, which comes before.</summary>
internal interface IRequest
{
    SequenceProgress Sequence { get; }

    /// <summary>Whether another decode step can draw a token for it, as far as the host knows.</summary>
    bool Decoding { get; }

    /// <summary>Tokens of which its cache has keys and values, once the steps that are queued have run.</summary>
    int CachedTokens { get; }

    /// <summary>
    /// Tokens that its cache is to have room for: those of its prompt, and with them those drawn so far, the last of which the next decode step
    /// feeds.
    /// </summary>
    int RoomTokens { get; }

    /// <summary>Gives it the seat that it has until it ends.</summary>
    void Sit(EngineSeats seats);

    /// <summary>Takes the memory of all results that can come.</summary>
    void Begin(long timestamp);

    /// <summary>What its slot is told of sampling; null where it draws nothing.</summary>
    SlotContents? ContentsFor(Sampler sampler);

    /// <summary>Its part of the next prefill step, of at most so many rows; empty where that is too few.</summary>
    StepSequence NextPrefill(int budgetRows);

    /// <summary>Such a part is in the step that is queued next.</summary>
    void QueuedPrefill(in StepSequence part, QueuedStep step);

    /// <summary>
    /// Its slot and pages are lost: it begins again with its first token. What it has handed out it will not hand out again. No step with it
    /// may be in flight.
    /// </summary>
    void Restart();

    /// <summary>Takes its rows of a step's results; returns whether they were the last.</summary>
    bool Take(StepResults results, int firstRow, int rows, long timestamp);

    /// <summary>Ends it: its reader has all there is.</summary>
    void Complete();

    /// <summary>Ends it with an error, unless it has ended. Any thread.</summary>
    void Fail(Exception error);
}
