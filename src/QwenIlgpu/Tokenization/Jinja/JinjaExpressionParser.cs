namespace QwenIlgpu;

/// <summary>Makes expressions of tokens, with jinja2's precedences: powers group from the left, and ~ binds closer than +.</summary>
internal sealed partial class JinjaExpressionParser(JinjaTokens tokens)
{
    /// <summary>The variables read, of which a macro looks for some.</summary>
    public HashSet<string> Reads { get; set; } = [];

    /// <summary>An expression with conditions.</summary>
    public JinjaExpression Expression()
    {
        using JinjaTokens.Level level = tokens.Enter();
        JinjaExpression expression = Or();
        while (tokens.Current.IsName("if"))
        {
            JinjaPosition at = tokens.Next().At;
            JinjaExpression condition = Or();
            JinjaExpression? otherwise = tokens.Skip("else") ? Expression() : null;
            expression = new JinjaConditional(at, expression, condition, otherwise);
        }

        return expression;
    }

    /// <summary>An expression, or several with commas between them.</summary>
    public JinjaExpression Tuple(bool hasConditional = true, bool mayBeEmpty = false)
    {
        JinjaPosition at = tokens.Current.At;
        List<JinjaExpression> items = [];
        bool isTuple = false;
        while (!IsTupleEnd())
        {
            items.Add(hasConditional ? Expression() : Or());
            if (!tokens.Current.IsOperator(",")) break;
            tokens.Next();
            isTuple = true;
        }

        if (!isTuple && items.Count == 1) return items[0];
        if (!isTuple && !mayBeEmpty) throw tokens.Error($"Expected an expression, got '{tokens.Current}'");
        return new JinjaListDisplay(at, items, isTuple: true);
    }

    /// <summary>Names that a value is unpacked to.</summary>
    public JinjaTarget Targets(bool takesAttribute = false)
    {
        JinjaPosition at = tokens.Current.At;
        List<JinjaTarget> parts = [Target(takesAttribute)];
        bool isTuple = false;
        while (tokens.Current.IsOperator(","))
        {
            tokens.Next();
            isTuple = true;
            if (tokens.Current.Kind is not JinjaTokenKind.Name && !tokens.Current.IsOperator("(") || tokens.Current.IsName("in")) break;
            parts.Add(Target());
        }

        return isTuple ? new JinjaTarget.Tuple(at, parts) : parts[0];
    }

    /// <summary>One name, or names in brackets.</summary>
    public JinjaTarget Target(bool takesAttribute = false)
    {
        using JinjaTokens.Level level = tokens.Enter();
        if (tokens.Skip("("))
        {
            JinjaTarget inner = Targets();
            tokens.Expect(")");
            return inner;
        }

        if (tokens.Current.Kind != JinjaTokenKind.Name) throw tokens.Error($"Expected an expression, got '{tokens.Current}'");
        JinjaToken name = tokens.Next();
        if (name.Text is "true" or "false" or "none" or "True" or "False" or "None")
            throw new JinjaException($"can't assign to '{name.Text}'", name.At);
        if (!takesAttribute || !tokens.Skip(".")) return new JinjaTarget.Name(name.At, name.Text);
        return new JinjaTarget.Attribute(name.At, name.Text, tokens.Expect(JinjaTokenKind.Name).Text);
    }

    /// <summary>The filters behind a value; null where there are neither.</summary>
    public JinjaFilterCall? Filters(JinjaExpression? target, bool startsInline = false)
    {
        JinjaFilterCall? filter = null;
        while (startsInline || tokens.Current.IsOperator("|"))
        {
            if (!startsInline) tokens.Next();
            startsInline = false;
            JinjaToken name = tokens.Expect(JinjaTokenKind.Name);
            if (!JinjaFilters.All.TryGetValue(name.Text, out JinjaFunction? function))
                throw new JinjaException($"No filter named '{name.Text}'.", name.At);
            JinjaArgumentList arguments = tokens.Current.IsOperator("(") ? Arguments() : JinjaArgumentList.None;
            filter = new JinjaFilterCall(name.At, filter ?? target, function, arguments);
        }

        return filter;
    }

    private bool IsTupleEnd() => tokens.Current.Kind is JinjaTokenKind.PrintEnd or JinjaTokenKind.BlockEnd || tokens.Current.IsOperator(")")
        || tokens.Current.IsName("recursive");

    private JinjaExpression Or()
    {
        JinjaExpression left = And();
        while (tokens.Current.IsName("or"))
            left = new JinjaLogic(tokens.Next().At, left, isAnd: false, And());
        return left;
    }

    private JinjaExpression And()
    {
        JinjaExpression left = Not();
        while (tokens.Current.IsName("and"))
            left = new JinjaLogic(tokens.Next().At, left, isAnd: true, Not());
        return left;
    }

    private JinjaExpression Not()
    {
        if (!tokens.Current.IsName("not")) return Comparison();
        using JinjaTokens.Level level = tokens.Enter();
        return new JinjaUnary(tokens.Next().At, "not", Not());
    }

    private JinjaExpression Comparison()
    {
        JinjaExpression first = Sum();
        JinjaPosition at = tokens.Current.At;
        List<(string Operation, JinjaExpression Operand)> rest = [];
        while (true)
        {
            JinjaToken token = tokens.Current;
            string operation = token.Text;
            if (token.IsName("not") && tokens.Ahead.IsName("in"))
            {
                operation = "not in";
                tokens.Next();
            }
            else if (!token.IsName("in")
                && (token.Kind != JinjaTokenKind.Operator || operation is not ("==" or "!=" or "<" or "<=" or ">" or ">=")))
            {
                return rest.Count == 0 ? first : new JinjaComparison(at, first, rest);
            }

            tokens.Next();
            rest.Add((operation, Sum()));
        }
    }

    private JinjaExpression Sum()
    {
        JinjaExpression left = Concatenation();
        while (tokens.Current.Kind == JinjaTokenKind.Operator && tokens.Current.Text is "+" or "-")
        {
            JinjaToken operation = tokens.Next();
            left = new JinjaBinary(operation.At, left, operation.Text, Concatenation());
        }

        return left;
    }

    private JinjaExpression Concatenation()
    {
        JinjaExpression first = Product();
        if (!tokens.Current.IsOperator("~")) return first;
        JinjaPosition at = tokens.Current.At;
        List<JinjaExpression> parts = [first];
        while (tokens.Current.IsOperator("~"))
        {
            tokens.Next();
            parts.Add(Product());
        }

        return new JinjaConcatenation(at, parts);
    }

    private JinjaExpression Product()
    {
        JinjaExpression left = Power();
        while (tokens.Current.Kind == JinjaTokenKind.Operator && tokens.Current.Text is "*" or "/" or "//" or "%")
        {
            JinjaToken operation = tokens.Next();
            left = new JinjaBinary(operation.At, left, operation.Text, Power());
        }

        return left;
    }

    private JinjaExpression Power()
    {
        JinjaExpression left = Unary();
        while (tokens.Current.IsOperator("**"))
            left = new JinjaBinary(tokens.Next().At, left, "**", Unary());
        return left;
    }

    private JinjaExpression Unary(bool takesFilters = true)
    {
        JinjaExpression expression;
        if (tokens.Current.Kind == JinjaTokenKind.Operator && tokens.Current.Text is "-" or "+")
        {
            using JinjaTokens.Level level = tokens.Enter();
            JinjaToken sign = tokens.Next();
            expression = new JinjaUnary(sign.At, sign.Text, Unary(takesFilters: false));
        }
        else
        {
            expression = Primary();
        }

        expression = Postfix(expression);
        while (takesFilters)
        {
            if (tokens.Current.IsOperator("|")) expression = Filters(expression)!;
            else if (tokens.Current.IsName("is")) expression = Test(expression);
            else if (tokens.Current.IsOperator("(")) expression = new JinjaCall(tokens.Current.At, expression, Arguments());
            else break;
        }

        return expression;
    }
}
