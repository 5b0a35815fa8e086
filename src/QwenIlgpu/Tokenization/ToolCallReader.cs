using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>How far a call has come.</summary>
internal enum ToolCallProgress
{
    /// <summary>It goes on.</summary>
    Open,

    /// <summary>It is whole.</summary>
    Complete,

    /// <summary>It is none.</summary>
    Broken,
}

/// <summary>
/// Reads one call of a tool behind its opening marker, a character at a time: as XML, as Qwen3.5 and later write it, or as JSON, as Hermes
/// does. It keeps the markup, so that a call that turns out broken is text of which nothing is lost.
/// </summary>
/// <remarks>
/// <code>
/// &lt;tool_call&gt; &lt;function=NAME&gt; (&lt;parameter=KEY&gt;\nVALUE\n&lt;/parameter&gt;)* &lt;/function&gt; &lt;/tool_call&gt;
/// &lt;tool_call&gt; {"name": NAME, "arguments": {KEY: VALUE, …}} &lt;/tool_call&gt;
/// </code>
/// A value ends at the first closing tag behind which another parameter begins or the function ends, blanks aside: it may hold any other tags.
/// Arguments may also be a JSON string that holds the object.
/// </remarks>
internal sealed class ToolCallReader(ToolSchemas schemas, Func<string> createId)
{
    /// <summary>What stands before a call.</summary>
    public const string Start = "<tool_call>";

    /// <summary>What stands behind it.</summary>
    public const string End = "</tool_call>";

    private const string Function = "<function=";
    private const string FunctionEnd = "</function>";
    private const string Parameter = "<parameter=";
    private const string ParameterEnd = "</parameter>";

    private readonly List<char> text = [];
    private JsonObject arguments = [];
    private State state;
    private string name = "";
    private string key = "";
    private int begin;           // of the name, key, value or JSON that is being read
    private int tag;             // where the tag begins that is being read; the end of the text so far where none is
    private int valueEnd;
    private int depth;
    private bool inString;
    private bool isEscaped;

    private enum State
    {
        Head,
        Name,
        Between,
        Key,
        Value,
        BehindValue,
        Json,
        Tail,
    }

    /// <summary>The call, once it is whole.</summary>
    public PromptToolCall? Call { get; private set; }

    /// <summary>All that has been read, the opening marker included.</summary>
    public ReadOnlySpan<char> Text => CollectionsMarshal.AsSpan(text);

    /// <summary>How much of the text of a broken call is certainly text; in what follows anything may begin.</summary>
    public int BrokenLength { get; private set; }

    /// <summary>Begins a call, whose opening marker has been read.</summary>
    public void Begin()
    {
        text.Clear();
        text.AddRange(Start);
        (Call, arguments, state, tag) = (null, [], State.Head, text.Count);
    }

    /// <summary>Reads a character. Behind a call that is whole or broken the next one begins with <see cref="Begin"/>.</summary>
    public ToolCallProgress Take(char c)
    {
        text.Add(c);
        return state switch
        {
            State.Head when c == '{' && tag == text.Count - 1 => BeginJson(),
            State.Head => Tag(c, Function) is null ? Ended : Go(State.Name),
            State.Name => Word(c, ref name, State.Between),
            State.Between => Tag(c, Parameter, FunctionEnd) switch
            {
                null => Ended,
                Parameter => Go(State.Key),
                _ => Go(State.Tail),
            },
            State.Key => Word(c, ref key, State.Value),
            State.Value => Value(c),
            State.BehindValue => BehindValue(c),
            State.Json => Json(c),
            _ => Tag(c, End) is null ? Ended : Close(),
        };
    }

    // What came of a tag that has not been read to its end.
    private ToolCallProgress Ended => BrokenLength < 0 ? ToolCallProgress.Open : ToolCallProgress.Broken;

    // Reads one of several tags, with blanks before it. Null while it goes on, or with the broken length set where it is none of them.
    private string? Tag(char c, params ReadOnlySpan<string> tags)
    {
        BrokenLength = -1;
        if (tag == text.Count - 1 && IsBlank(c))
        {
            tag++;
            return null;
        }

        ReadOnlySpan<char> read = Text[tag..];
        foreach (string expected in tags)
        {
            if (expected.StartsWith(read, StringComparison.Ordinal))
                return expected.Length == read.Length ? expected : null;
        }

        // A '<' within a tag begins another one.
        BrokenLength = c == '<' ? text.Count - 1 : tag;
        return null;
    }

    private ToolCallProgress Go(State next)
    {
        (state, begin, tag) = (next, text.Count, text.Count);
        return ToolCallProgress.Open;
    }

    private ToolCallProgress Break(int length)
    {
        BrokenLength = length;
        return ToolCallProgress.Broken;
    }

    private ToolCallProgress Word(char c, ref string word, State next)
    {
        if (c is '<' or '\n' || c == '>' && begin == text.Count - 1)
            return Break(text.Count - 1);
        if (c != '>')
            return ToolCallProgress.Open;
        word = Text[begin..^1].ToString();
        return Go(next);
    }

    private ToolCallProgress Value(char c)
    {
        if (tag == text.Count - 1 && c != '<')
        {
            tag++;
            return ToolCallProgress.Open;
        }

        if (Tag(c, ParameterEnd) is not null)
            EndValue();
        else if (BrokenLength >= 0)
            tag = c == '<' ? text.Count - 1 : text.Count;
        return ToolCallProgress.Open;
    }

    // Perhaps: what follows decides.
    private void EndValue() => (state, valueEnd, tag) = (State.BehindValue, tag, text.Count);

    private ToolCallProgress BehindValue(char c)
    {
        switch (Tag(c, Parameter, FunctionEnd, ParameterEnd))
        {
            case Parameter:
                KeepValue();
                return Go(State.Key);
            case FunctionEnd:
                KeepValue();
                return Go(State.Tail);
            case ParameterEnd:
                EndValue();
                break;
            case null when BrokenLength >= 0:
                (state, tag) = (State.Value, c == '<' ? text.Count - 1 : text.Count);
                break;
        }

        return ToolCallProgress.Open;
    }

    // The line feeds next to the tags are markup.
    private void KeepValue()
    {
        ReadOnlySpan<char> value = Text[begin..valueEnd];
        if (value is ['\n', ..])
            value = value[1..];
        if (value is [.., '\n'])
            value = value[..^1];
        arguments[key] = schemas.ValueOf(name, key, value.ToString());
    }

    private ToolCallProgress BeginJson()
    {
        (state, begin, depth, inString, isEscaped) = (State.Json, text.Count - 1, 1, false, false);
        return ToolCallProgress.Open;
    }

    // Whether it is JSON shows at its end; what can be none, or has forgotten to end, shows earlier.
    private ToolCallProgress Json(char c)
    {
        if (inString ? c < ' ' : c == '<')
            return Break(text.Count - 1);
        if (inString)
        {
            (inString, isEscaped) = (isEscaped || c != '"', !isEscaped && c == '\\');
            return ToolCallProgress.Open;
        }

        inString = c == '"';
        depth += c is '{' or '[' ? 1 : c is '}' or ']' ? -1 : 0;
        if (depth > 0)
            return ToolCallProgress.Open;
        return ReadJson(Text[begin..].ToString()) ? Go(State.Tail) : Break(text.Count);
    }

    private bool ReadJson(string json)
    {
        try
        {
            if (ToolSchemas.Parse(json) is not { } call)
                return false;
            Dictionary<string, JsonElement> members = new(PythonJson.Properties(call), StringComparer.Ordinal);
            if (!members.TryGetValue("name", out JsonElement called) || called.ValueKind != JsonValueKind.String)
                return false;
            name = PythonJson.GetString(called);
            if (name.Length == 0)
                return false;

            // Arguments by another name must not get lost.
            if (!members.TryGetValue("arguments", out JsonElement given))
                return members.Count == 1;
            if (given.ValueKind == JsonValueKind.Null)
                return true;
            if (given.ValueKind == JsonValueKind.String)
                given = ToolSchemas.Parse(PythonJson.GetString(given)) ?? default;
            if (given.ValueKind != JsonValueKind.Object)
                return false;
            foreach ((string parameter, JsonElement value) in PythonJson.Properties(given))
                arguments[parameter] = schemas.ValueOf(name, parameter, value);
            return true;
        }
        catch (InvalidOperationException)
        {
            // A name with half a character.
            return false;
        }
    }

    private ToolCallProgress Close()
    {
        Call = new PromptToolCall(name, arguments) { Id = createId() };
        return ToolCallProgress.Complete;
    }

    private static bool IsBlank(char c) => c is ' ' or '\n' or '\r' or '\t';
}
