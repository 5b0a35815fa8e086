using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace QwenIlgpu;

/// <summary>The reader's side of a request: drawn ids in, updates out.</summary>
internal sealed class UpdateReader(QwenModel model, TokenStream stream, OutputParser parser, CancellationToken cancellation)
{
    private readonly List<int> heldIds = [];
    private readonly List<TokenLogProbs> heldLogProbs = [];
    private int read;

    /// <summary>The next update with text in it, or null at the end of the tokens or at a stop string.</summary>
    public async ValueTask<GenerationUpdate?> ReadAsync()
    {
        while (!parser.Stopped)
        {
            while (!stream.Has(read))
            {
                if (stream.Error is { } error)
                    ExceptionDispatchInfo.Throw(await model.ExplainAsync(error, cancellation).ConfigureAwait(false));
                if (stream.Completed)
                    return null;
                await stream.WaitAsync(read).ConfigureAwait(false);
            }

            int id = stream[read];
            heldIds.Add(id);
            if (stream.LogProbsOf(read) is { } logProbs)
                heldLogProbs.Add(logProbs);
            read++;
            (string text, TextKind kind) = parser.Append(id);
            if (text.Length > 0)
                return Take(text, kind, null, null);
        }

        return null;
    }

    /// <summary>The last update: the held text, the reason and the counts.</summary>
    public GenerationUpdate End(int promptTokens, int cachedTokens, ResolvedSampling sampling, long startTimestamp)
    {
        bool stopped = parser.Stopped;
        TextKind kind = parser.Kind;
        var usage = new GenerationUsage(
            promptTokens, cachedTokens, read, parser.ReasoningTokens, sampling.Temperature == 0 ? null : sampling.Seed,
            Stopwatch.GetElapsedTime(startTimestamp, stream.AdmissionTimestamp),
            Stopwatch.GetElapsedTime(stream.AdmissionTimestamp, stream.FirstTokenTimestamp),
            Stopwatch.GetElapsedTime(stream.FirstTokenTimestamp, stream.LastTokenTimestamp));
        return Take(stopped ? "" : parser.Flush(), kind, stopped ? FinishReason.Stop : stream.FinishReason, usage);
    }

    private GenerationUpdate Take(string text, TextKind kind, FinishReason? reason, GenerationUsage? usage)
    {
        var update = new GenerationUpdate
        {
            TokenIds = [.. heldIds],
            Text = text,
            Kind = kind,
            LogProbs = stream.TopLogProbs < 0 ? null : [.. heldLogProbs],
            FinishReason = reason,
            Usage = usage,
        };
        heldIds.Clear();
        heldLogProbs.Clear();
        return update;
    }
}
