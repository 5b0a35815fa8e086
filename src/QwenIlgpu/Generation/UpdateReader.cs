using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace QwenIlgpu;

/// <summary>The reader's side of a request: drawn ids in, updates out.</summary>
internal sealed class UpdateReader(QwenModel model, TokenStream stream, OutputParser parser, CancellationToken cancellation)
{
    private readonly List<int> heldIds = [];
    private readonly List<TokenLogProbs> heldLogProbs = [];
    private readonly Queue<AnswerPiece> pieces = new();
    private int read;

    /// <summary>The next update with text in it, or null at the end of the tokens or at a stop string.</summary>
    public async ValueTask<GenerationUpdate?> ReadAsync()
    {
        while (pieces.Count == 0 && !parser.Stopped)
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
            foreach (AnswerPiece piece in parser.Append(id))
                pieces.Enqueue(piece);
        }

        return pieces.TryDequeue(out AnswerPiece next) ? Take(next.Text, next.Kind) : null;
    }

    /// <summary>The last update: the held text, the calls, the reason and the counts.</summary>
    public GenerationUpdate End(int promptTokens, int cachedTokens, ResolvedSampling sampling, long startTimestamp)
    {
        TextKind kind = parser.Kind;
        string text = parser.Stopped ? "" : string.Concat(parser.Flush().Select(static piece => piece.Text));
        FinishReason reason = parser.Stopped ? FinishReason.Stop : stream.FinishReason;
        var usage = new GenerationUsage(
            promptTokens, cachedTokens, read, parser.ReasoningTokens, sampling.Temperature == 0 ? null : sampling.Seed,
            Stopwatch.GetElapsedTime(startTimestamp, stream.AdmissionTimestamp),
            Stopwatch.GetElapsedTime(stream.AdmissionTimestamp, stream.FirstTokenTimestamp),
            Stopwatch.GetElapsedTime(stream.FirstTokenTimestamp, stream.LastTokenTimestamp));
        return Take(text, kind) with
        {
            ToolCalls = parser.ToolCalls,
            FinishReason = reason == FinishReason.Stop && parser.ToolCalls.Count > 0 ? FinishReason.ToolCalls : reason,
            Usage = usage,
        };
    }

    private GenerationUpdate Take(string text, TextKind kind)
    {
        var update = new GenerationUpdate
        {
            TokenIds = [.. heldIds],
            Text = text,
            Kind = kind,
            LogProbs = stream.TopLogProbs < 0 ? null : [.. heldLogProbs],
        };
        heldIds.Clear();
        heldLogProbs.Clear();
        return update;
    }
}
