namespace QwenIlgpu;

/// <summary>Makes statements of tokens; expressions are read by <see cref="JinjaExpressionParser"/>.</summary>
internal sealed class JinjaParser
{
    private readonly JinjaTokens tokens;
    private readonly JinjaExpressionParser expressions;
    private int loops;

    private JinjaParser(string source)
    {
        tokens = new JinjaTokens(JinjaLexer.Read(source));
        expressions = new JinjaExpressionParser(tokens);
    }

    public static IReadOnlyList<JinjaStatement> Parse(string source)
    {
        JinjaParser parser = new(source);
        return parser.Body(opener: null);
    }

    // Statements up to a tag that ends them, which is then the current token behind its BlockBegin.
    private List<JinjaStatement> Body(JinjaToken? opener, params string[] ends)
    {
        using JinjaTokens.Level level = tokens.Enter();
        List<JinjaStatement> body = [];
        while (tokens.Current.Kind != JinjaTokenKind.End)
        {
            JinjaToken token = tokens.Next();
            if (token.Kind == JinjaTokenKind.Data)
            {
                body.Add(new JinjaLiteral(JinjaText.Template(token.Text)));
            }
            else if (token.Kind == JinjaTokenKind.PrintBegin)
            {
                body.Add(new JinjaPrint(expressions.Tuple()));
                tokens.Expect(JinjaTokenKind.PrintEnd);
            }
            else
            {
                if (tokens.Current.Kind != JinjaTokenKind.Name) throw tokens.Error("tag name expected");
                if (ends.Contains(tokens.Current.Text)) return body;
                body.Add(Statement(opener, ends));
                tokens.Expect(JinjaTokenKind.BlockEnd);
            }
        }

        return opener is { } tag ? throw new JinjaException($"Unexpected end of template.{Wanted(tag, ends)}", tag.At) : body;
    }

    private static string Wanted(JinjaToken? opener, string[] ends) => opener is not { } tag
        ? ""
        : $" Jinja was looking for the following tags: {string.Join(" or ", ends.Select(static end => $"'{end}'"))}. "
            + $"The innermost block that needs to be closed is '{tag.Text}'.";

    private JinjaStatement Statement(JinjaToken? opener, string[] ends)
    {
        JinjaToken tag = tokens.Next();
        switch (tag.Text)
        {
            case "if":
                return If(tag);
            case "for":
                return For(tag);
            case "set":
                return Set(tag);
            case "with":
                return With(tag);
            case "macro":
                string name = tokens.Expect(JinjaTokenKind.Name).Text;
                return new JinjaMacroStatement(Macro(tag, name, hasParameters: true, "endmacro"));
            case "call":
                return Call(tag);
            case "filter":
                JinjaFilterCall filter = expressions.Filters(null, startsInline: true)
                    ?? throw tokens.Error("a filter is expected");
                return new JinjaBlock(null, filter, Closed(tag, "endfilter"));
            case "generation":
                return new JinjaBlock(null, null, Closed(tag, "endgeneration"));
            case "print":
                return new JinjaPrint(expressions.Tuple());
            case "break" or "continue":
                if (loops == 0) throw new JinjaException($"'{tag.Text}' outside loop", tag.At);
                return new JinjaJump(tag.Text == "break" ? JinjaFlow.Break : JinjaFlow.Continue);
            case "include" or "import" or "from" or "extends" or "block" or "autoescape":
                throw new JinjaException($"the tag '{tag.Text}' is not supported: a chat template is one file.", tag.At);
            default:
                throw new JinjaException($"Encountered unknown tag '{tag.Text}'.{Wanted(opener, ends)}", tag.At);
        }
    }

    // The rest of the opening tag, the statements, and the name of the tag that closes them.
    private List<JinjaStatement> Closed(JinjaToken tag, params string[] ends)
    {
        if (tokens.Current.IsOperator(":")) tokens.Next();
        tokens.Expect(JinjaTokenKind.BlockEnd);
        List<JinjaStatement> body = Body(tag, ends);
        if (ends.Length == 1) tokens.Next();
        return body;
    }

    private JinjaIf If(JinjaToken tag)
    {
        List<(JinjaExpression? Condition, IReadOnlyList<JinjaStatement> Body)> branches = [];
        JinjaExpression condition = expressions.Tuple(hasConditional: false);
        while (true)
        {
            branches.Add((condition, Closed(tag, "elif", "else", "endif")));
            string end = tokens.Next().Text;
            if (end == "endif") break;
            if (end == "else")
            {
                branches.Add((null, Closed(tag, "endif")));
                break;
            }

            condition = expressions.Tuple(hasConditional: false);
        }

        return new JinjaIf(branches);
    }

    private JinjaFor For(JinjaToken tag)
    {
        JinjaTarget target = expressions.Targets();
        if (!tokens.Current.IsName("in")) throw tokens.Error($"expected token 'in', got '{tokens.Current}'");
        tokens.Next();
        JinjaExpression items = expressions.Tuple(hasConditional: false);
        JinjaExpression? condition = tokens.Skip("if") ? expressions.Expression() : null;
        bool isRecursive = tokens.Skip("recursive");

        loops++;
        List<JinjaStatement> body = Closed(tag, "else", "endfor");
        loops--;
        bool hasElse = tokens.Next().Text == "else";
        List<JinjaStatement> otherwise = hasElse ? Closed(tag, "endfor") : [];
        return new JinjaFor(target, items, condition, isRecursive, body, otherwise);
    }

    private JinjaStatement Set(JinjaToken tag)
    {
        JinjaTarget target = expressions.Targets(takesAttribute: true);
        if (tokens.Current.IsOperator("="))
        {
            tokens.Next();
            return new JinjaSet(target, expressions.Tuple());
        }

        JinjaFilterCall? filter = expressions.Filters(null);
        return new JinjaBlock(target, filter, Closed(tag, "endset"));
    }

    private JinjaWith With(JinjaToken tag)
    {
        List<(JinjaTarget Target, JinjaExpression Value)> variables = [];
        while (tokens.Current.Kind != JinjaTokenKind.BlockEnd)
        {
            if (variables.Count > 0) tokens.Expect(",");
            JinjaTarget target = expressions.Target();
            tokens.Expect("=");
            variables.Add((target, expressions.Expression()));
        }

        return new JinjaWith(variables, Closed(tag, "endwith"));
    }

    private JinjaCallBlock Call(JinjaToken tag)
    {
        List<(string Name, JinjaExpression? Default)> parameters = tokens.Current.IsOperator("(") ? Parameters() : [];
        if (expressions.Expression() is not JinjaCall call) throw new JinjaException("expected call", tag.At);
        return new JinjaCallBlock(call, Macro(tag, "caller", hasParameters: false, "endcall") with { Parameters = parameters });
    }

    private JinjaMacroDefinition Macro(JinjaToken tag, string name, bool hasParameters, string end)
    {
        List<(string Name, JinjaExpression? Default)> parameters = hasParameters ? Parameters() : [];
        int outerLoops = loops;
        HashSet<string> outerReads = expressions.Reads;
        (loops, expressions.Reads) = (0, []);
        List<JinjaStatement> body = Closed(tag, end);
        JinjaMacroDefinition definition = new(name, parameters, body, expressions.Reads);
        (loops, expressions.Reads) = (outerLoops, outerReads);
        return definition;
    }

    private List<(string Name, JinjaExpression? Default)> Parameters()
    {
        List<(string Name, JinjaExpression? Default)> parameters = [];
        tokens.Expect("(");
        while (!tokens.Current.IsOperator(")"))
        {
            if (parameters.Count > 0) tokens.Expect(",");
            string name = tokens.Expect(JinjaTokenKind.Name).Text;
            bool hasDefault = tokens.Current.IsOperator("=");
            if (hasDefault) tokens.Next();
            else if (parameters.Count > 0 && parameters[^1].Default is not null)
                throw tokens.Error("non-default argument follows default argument");
            parameters.Add((name, hasDefault ? expressions.Expression() : null));
        }

        tokens.Next();
        return parameters;
    }
}
