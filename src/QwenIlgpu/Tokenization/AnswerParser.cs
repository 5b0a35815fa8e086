using System.Security.Cryptography;
using System.Text;

namespace QwenIlgpu;

/// <summary>What a piece of text belongs to.</summary>
public enum TextKind
{
    /// <summary>The answer.</summary>
    Answer,

    /// <summary>Reasoning, inside <c>&lt;think&gt;</c> … <c>&lt;/think&gt;</c>.</summary>
    Reasoning,
}

/// <summary>Text that is final, and what it belongs to.</summary>
internal readonly record struct AnswerPiece(TextKind Kind, string Text);

/// <summary>
/// Tells thoughts, text and calls of tools apart in an answer that comes in pieces, a character at a time, so that it matters nowhere
/// where the pieces are cut. Markers and the blank lines that the template puts around thoughts and calls belong to neither. What begins
/// like a marker or a call waits until it is one; what turns out to be none is text.
/// </summary>
/// <remarks>
/// A thought begins an answer, if at all; calls in it are part of it. Without tools calls are text.
/// </remarks>
internal sealed class AnswerParser
{
    // The template writes an empty line between a text and a call.
    private const int MostLineFeedsBeforeCall = 2;

    private const string IdLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private readonly Marker? thoughtStart;
    private readonly Marker? thoughtEnd;
    private readonly Marker callStart = new(ToolCallReader.Start);
    private readonly ToolCallReader? reader;
    private readonly List<PromptToolCall> calls = [];
    private readonly StringBuilder text = new();
    private readonly List<AnswerPiece> pieces = [];
    private State state;
    private int lineFeeds;       // held back: they stand before a marker, perhaps
    private bool trimsStart;     // behind a marker, where line feeds are the template's
    private bool endsWithCall;

    private enum State
    {
        Blank,       // nothing but blanks so far: a thought may begin
        Thought,
        Answer,
        Call,
    }

    /// <param name="thinking">What stands around thoughts; null for none.</param>
    /// <param name="insideThought">Whether the prompt has begun a thought.</param>
    /// <param name="tools">The tools that may be called; null for none.</param>
    /// <param name="createId">Makes the id of a call; null for one that is drawn by lot, so that no two are the same in any process.</param>
    public AnswerParser(ThinkMarkers? thinking, bool insideThought, ToolSchemas? tools, Func<string>? createId = null)
    {
        (thoughtStart, thoughtEnd) = thinking is null ? (null, null) : (new Marker(thinking.Start), new Marker(thinking.End));
        reader = tools is null ? null : new ToolCallReader(tools, createId ?? CreateId);
        (state, trimsStart) = thinking is null ? (State.Answer, false) : insideThought ? (State.Thought, true) : (State.Blank, false);
    }

    /// <summary>What the next text belongs to.</summary>
    public TextKind Kind => state == State.Thought ? TextKind.Reasoning : TextKind.Answer;

    /// <summary>The calls that are whole, in their order.</summary>
    public IReadOnlyList<PromptToolCall> Calls => calls;

    /// <summary>Takes a piece of the answer; returns the text that became final.</summary>
    public IReadOnlyList<AnswerPiece> Add(ReadOnlySpan<char> piece)
    {
        foreach (char c in piece)
            Take(c);
        return Final(Kind);
    }

    /// <summary>The text that was still held back, when no more will come.</summary>
    public IReadOnlyList<AnswerPiece> Complete()
    {
        TextKind kind = Kind;
        string begun = state switch
        {
            State.Blank => thoughtStart!.Begun,
            State.Thought => thoughtEnd!.Begun,
            State.Answer => callStart.Begun,
            _ => reader!.Text.ToString(),
        };
        if (state is State.Call or State.Blank)
            state = State.Answer;
        foreach (char c in begun)
            Write(c);
        if (!endsWithCall)
            text.Append('\n', lineFeeds);
        lineFeeds = 0;
        return Final(kind);
    }

    private static string CreateId() => $"call_{RandomNumberGenerator.GetString(IdLetters, 24)}";

    private void Take(char c)
    {
        switch (state)
        {
            case State.Blank:
                TakeBlank(c);
                break;
            case State.Thought:
                if (Found(thoughtEnd!, c))
                    EndThought();
                break;
            case State.Answer when reader is null:
                Write(c);
                break;
            case State.Answer:
                if (Found(callStart, c))
                {
                    reader!.Begin();
                    state = State.Call;
                }

                break;
            default:
                TakeCall(c);
                break;
        }
    }

    private void TakeBlank(char c)
    {
        string begun = thoughtStart!.Begun;
        if (begun.Length == 0 && char.IsWhiteSpace(c))
        {
            Write(c);
        }
        else if (thoughtStart.Take(c) > 0)
        {
            thoughtStart.Reset();
            state = State.Answer;
            foreach (char letter in begun)
                Take(letter);
            Take(c);
        }
        else if (thoughtStart.IsWhole)
        {
            Flush(TextKind.Answer);
            (state, trimsStart, lineFeeds) = (State.Thought, true, 0);
        }
    }

    private void EndThought()
    {
        lineFeeds = 0;
        Flush(TextKind.Reasoning);
        (state, trimsStart) = (State.Answer, true);
    }

    private void TakeCall(char c)
    {
        switch (reader!.Take(c))
        {
            case ToolCallProgress.Complete:
                calls.Add(reader.Call!);
                (state, trimsStart, endsWithCall) = (State.Answer, true, true);
                break;
            case ToolCallProgress.Broken:
                string broken = reader.Text.ToString();
                state = State.Answer;
                foreach (char letter in broken.AsSpan(0, reader.BrokenLength))
                    Write(letter);
                foreach (char letter in broken.AsSpan(reader.BrokenLength))
                    Take(letter);
                break;
        }
    }

    // Whether this character ends a marker; what can no longer belong to one is written.
    private bool Found(Marker marker, char c)
    {
        ReadOnlySpan<char> begun = marker.Begun;
        int given = marker.Take(c);
        for (int i = 0; i < given; i++)
            Write(i < begun.Length ? begun[i] : c);
        if (!marker.IsWhole)
            return false;
        marker.Reset();
        return true;
    }

    // Line feeds are the template's behind a marker, as all blanks are behind a call, and before one, which the next character tells.
    private void Write(char c)
    {
        if (trimsStart && (c == '\n' || endsWithCall && char.IsWhiteSpace(c)))
            return;
        (trimsStart, endsWithCall) = (false, false);
        if (c == '\n' && (state == State.Thought || reader is not null))
        {
            lineFeeds++;
            if (state != State.Thought && lineFeeds > MostLineFeedsBeforeCall)
            {
                lineFeeds--;
                text.Append('\n');
            }

            return;
        }

        text.Append('\n', lineFeeds).Append(c);
        lineFeeds = 0;
    }

    private void Flush(TextKind kind)
    {
        if (text.Length > 0)
            pieces.Add(new AnswerPiece(kind, text.ToString()));
        text.Clear();
    }

    private AnswerPiece[] Final(TextKind kind)
    {
        Flush(kind);
        AnswerPiece[] final = [.. pieces];
        pieces.Clear();
        return final;
    }
}
