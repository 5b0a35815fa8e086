using System.Threading.Tasks.Sources;

namespace QwenIlgpu;

/// <summary>
/// The way of drawn tokens from the engine's thread to one reader. Its memory is taken when the request is admitted, so that from then on
/// the engine neither allocates nor waits, however slow the reader is.
/// </summary>
internal sealed class TokenStream(int capacity, int topLogProbs) : IValueTaskSource, IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private int[] ids = [];
    private float[] logProbs = [];
    private int[] topIds = [];
    private float[] topValues = [];
    private EngineSeats? seats;
    private ManualResetValueTaskSourceCore<bool> signal;
    private bool waiting;
    private int written;
    private bool completed;

    /// <summary>Log-probabilities carried per token besides the drawn one's own; −1 when none were asked for.</summary>
    public int TopLogProbs { get; } = topLogProbs;

    public FinishReason FinishReason { get; private set; }

    public Exception? Error { get; private set; }

    /// <summary>When the request was admitted.</summary>
    public long AdmissionTimestamp { get; private set; }

    /// <summary>When the first token was there.</summary>
    public long FirstTokenTimestamp { get; private set; }

    /// <summary>When the last token so far was there.</summary>
    public long LastTokenTimestamp { get; private set; }

    /// <summary>The seat that its request has until the stream ends.</summary>
    public void Sit(EngineSeats taken) => seats = taken;

    /// <summary>Engine: takes the memory of all that can come.</summary>
    public void Begin(long timestamp)
    {
        int[] tokens = new int[capacity];
        float[] drawn = new float[TopLogProbs >= 0 ? capacity : 0];
        int[] topTokens = new int[checked(Math.Max(TopLogProbs, 0) * capacity)];
        float[] top = new float[topTokens.Length];
        lock (gate)
            (ids, logProbs, topIds, topValues, AdmissionTimestamp) = (tokens, drawn, topTokens, top, timestamp);
    }

    /// <summary>Engine: all tokens so far.</summary>
    public ReadOnlySpan<int> Written => ids.AsSpan(0, written);

    /// <summary>Engine: adds a token; the log-probability arguments are read only when they were asked for.</summary>
    public void Write(int id, long timestamp, float logProb, ReadOnlySpan<int> top, ReadOnlySpan<float> topValue)
    {
        lock (gate)
        {
            ids[written] = id;
            if (TopLogProbs >= 0)
            {
                logProbs[written] = logProb;
                top[..TopLogProbs].CopyTo(topIds.AsSpan(written * TopLogProbs));
                topValue[..TopLogProbs].CopyTo(topValues.AsSpan(written * TopLogProbs));
            }

            if (written++ == 0)
                FirstTokenTimestamp = timestamp;
            LastTokenTimestamp = timestamp;
            Wake();
        }
    }

    public void Complete(FinishReason reason) => End(reason, null);

    public void Fail(Exception error) => End(FinishReason, error);

    /// <summary>Reader: whether token <paramref name="index"/> is there.</summary>
    public bool Has(int index)
    {
        lock (gate)
            return index < written;
    }

    /// <summary>Reader: whether no more tokens will come.</summary>
    public bool Completed
    {
        get
        {
            lock (gate)
                return completed;
        }
    }

    /// <summary>Reader: waits until token <paramref name="index"/> is there or the stream has ended.</summary>
    public ValueTask WaitAsync(int index)
    {
        lock (gate)
        {
            if (index < written || completed)
                return ValueTask.CompletedTask;
            signal.Reset();
            waiting = true;
            return new ValueTask(this, signal.Version);
        }
    }

    /// <summary>Reader: a token that is there.</summary>
    public int this[int index] => ids[index];

    /// <summary>Reader: log-probabilities of a token; null when none were asked for.</summary>
    public TokenLogProbs? LogProbsOf(int index)
    {
        if (TopLogProbs < 0)
            return null;
        var top = new TokenLogProb[TopLogProbs];
        for (int i = 0; i < top.Length; i++)
            top[i] = new TokenLogProb(topIds[(index * TopLogProbs) + i], topValues[(index * TopLogProbs) + i]);
        return new TokenLogProbs(ids[index], logProbs[index], top);
    }

    // The reader goes on in the thread pool. Queueing the stream itself allocates nothing; the signal's own way of getting there would.
    void IThreadPoolWorkItem.Execute() => signal.SetResult(true);

    void IValueTaskSource.GetResult(short token) => signal.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => signal.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        signal.OnCompleted(continuation, state, token, flags);

    private void End(FinishReason reason, Exception? error)
    {
        lock (gate)
        {
            if (completed)
                return;
            (FinishReason, Error, completed) = (reason, error, true);
            seats?.Return();
            Wake();
        }
    }

    private void Wake()
    {
        if (!waiting)
            return;
        waiting = false;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }
}
