namespace QwenIlgpu;

/// <summary>
/// A chat template, parsed once; any number of threads may render it at the same time. The language is that of Hugging Face's
/// environment: jinja2's immutable sandbox with trim_blocks, lstrip_blocks, loop controls, generation blocks and its own tojson,
/// raise_exception and strftime_now.
/// </summary>
/// <remarks>
/// Where it differs: generators are run at once, so that their errors come even where nobody asks for their items; a text that went
/// through safe or escape is a text like any other; the filters filesizeformat, random, striptags, urlize, wordwrap and xmlattr, and the
/// tags that join several files, are refused when the template is parsed.
/// </remarks>
internal sealed class JinjaTemplate
{
    // A template writes its own text about once, and looks at each value and character of its input a few times.
    private const int BaseSteps = 200_000;
    private const int StepsPerValue = 2000;
    private const int StepsPerCharacter = 16;
    private const int BaseCharacters = 4 << 20;
    private const int CharactersPerValue = 4000;
    private const int CharactersPerCharacter = 256;

    private readonly IReadOnlyList<JinjaStatement> body;

    private JinjaTemplate(IReadOnlyList<JinjaStatement> body) => this.body = body;

    /// <summary>Parses a template's source.</summary>
    /// <exception cref="JinjaException">The source is none, or uses what is not supported.</exception>
    public static JinjaTemplate Parse(string source) => new(JinjaParser.Parse(Unicode.ReplaceUnpairedSurrogates(source)));

    /// <summary>
    /// The text for these variables, which hold values as <see cref="JinjaJson"/> makes them; texts of the template, such as special
    /// tokens, as <see cref="JinjaText.Template"/>.
    /// </summary>
    /// <exception cref="JinjaException">The template raised it, or failed, or took more than the limits.</exception>
    public JinjaText Render(IReadOnlyDictionary<string, object> variables, DateTime now, JinjaLimits? limits = null)
    {
        JinjaRun run = new(limits ?? LimitsFor(variables.Values), now) { At = new JinjaPosition(1, 1) };
        JinjaScope scope = new(run, null);
        foreach ((string name, object value) in variables)
            scope.Set(name, value);
        try
        {
            return JinjaStatement.Capture(body, scope.Inner());
        }
        catch (JinjaException error) when (error.At.Line == 0)
        {
            throw new JinjaException(error.Words, run.At, error.IsRaised);
        }
    }

    private static JinjaLimits LimitsFor(IEnumerable<object> values)
    {
        long count = 0;
        long characters = 0;
        Stack<object> rest = new(values);
        while (rest.TryPop(out object? value))
        {
            count++;
            characters += value is JinjaText text ? text.Text.Length : 0;
            foreach (object item in value is JinjaList list ? list.Items : value is JinjaDict dict ? dict.Items.Values : [])
                rest.Push(item);
        }

        return new JinjaLimits(
            BaseSteps + (StepsPerValue * count) + (StepsPerCharacter * characters),
            BaseCharacters + (CharactersPerValue * count) + (CharactersPerCharacter * characters));
    }
}
