using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace QwenIlgpu;

/// <summary>
/// The way of drawn tokens, or of the scores of given ones, from the engine's thread to one reader. Its memory is taken up front, so that the engine neither
/// allocates nor waits, however slow the reader is.
/// </summary>
internal sealed class TokenStream(int capacity, int topLogProbs) : IValueTaskSource, IThreadPoolWorkItem
{
    private readonly int[] ids = new int[capacity];
    private readonly float[] logProbs = new float[topLogProbs >= 0 ? capacity : 0];
    private readonly int[] topIds = new int[Math.Max(topLogProbs, 0) * capacity];
    private readonly float[] topValues = new float[Math.Max(topLogProbs, 0) * capacity];
    private readonly long[] endpoints = new long[2];
    private readonly Lock gate = new();
    private ManualResetValueTaskSourceCore<bool> signal;
    private bool waiting;
    private int written;
    private bool completed;

    /// <summary>Log-probabilities carried per token besides the drawn one's own; −1 when none were asked for.</summary>
    public int TopLogProbs { get; } = topLogProbs;

    public FinishReason FinishReason { get; private set; }

    public Exception? Error { get; private set; }

    /// <summary>Timestamp of the first token.</summary>
    public long FirstTokenTimestamp => endpoints[0];

    /// <summary>Timestamp of the last token so far.</summary>
    public long LastTokenTimestamp => endpoints[1];

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
                endpoints[0] = timestamp;
            endpoints[1] = timestamp;
            Wake();
        }
    }

    /// <summary>Engine: adds log-probabilities of tokens that the reader knows; it waits for the last.</summary>
    public void Write(ReadOnlySpan<float> logProb)
    {
        lock (gate)
        {
            logProb.CopyTo(logProbs.AsSpan(written));
            written += logProb.Length;
        }
    }

    public void Complete(FinishReason reason)
    {
        lock (gate)
        {
            if (completed)
                return;
            (FinishReason, completed) = (reason, true);
            Wake();
        }
    }

    public void Fail(Exception error)
    {
        lock (gate)
        {
            if (completed)
                return;
            (Error, completed) = (error, true);
            Wake();
        }
    }

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

    /// <summary>Reader: every log-probability, once the stream has ended.</summary>
    public async ValueTask<float[]> AllLogProbsAsync()
    {
        while (!Completed)
            await WaitAsync(logProbs.Length).ConfigureAwait(false);
        if (Error is not null)
            ExceptionDispatchInfo.Throw(Error);
        return logProbs;
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

    private void Wake()
    {
        if (!waiting)
            return;
        waiting = false;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }
}
