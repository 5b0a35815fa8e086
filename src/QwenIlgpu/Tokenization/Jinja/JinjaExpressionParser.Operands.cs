using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <content>What operators stand between: values as written, names, and what is asked of them.</content>
internal sealed partial class JinjaExpressionParser
{
    private const int MaxDigits = 4300;

    private JinjaExpression Primary()
    {
        using JinjaTokens.Level level = tokens.Enter();
        JinjaToken token = tokens.Next();
        switch (token.Kind)
        {
            case JinjaTokenKind.Name:
                return Name(token);
            case JinjaTokenKind.String:
                string text = token.Text;
                while (tokens.Current.Kind == JinjaTokenKind.String)
                    text += tokens.Next().Text;
                return new JinjaConstant(token.At, JinjaText.Template(text));
            case JinjaTokenKind.Integer:
                if (token.Text.Length > MaxDigits) throw new JinjaException($"a number has more than {MaxDigits} digits.", token.At);
                int numberBase = token.Text.Length > 1 && char.IsAsciiLetter(token.Text[1]) ? 0 : 10;
                return new JinjaConstant(token.At, JinjaNumbers.ParseInteger(token.Text, numberBase)!.Value);
            case JinjaTokenKind.Float:
                return new JinjaConstant(token.At, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case JinjaTokenKind.Operator when token.Text == "(":
                JinjaExpression inner = Tuple(mayBeEmpty: true);
                tokens.Expect(")");
                return inner;
            case JinjaTokenKind.Operator when token.Text == "[":
                return new JinjaListDisplay(token.At, Items("]", Expression), isTuple: false);
            case JinjaTokenKind.Operator when token.Text == "{":
                return new JinjaDictDisplay(token.At, Items("}", () =>
                {
                    JinjaExpression key = Expression();
                    tokens.Expect(":");
                    return (key, Expression());
                }));
            default:
                throw new JinjaException($"unexpected '{token}'", token.At);
        }
    }

    private JinjaExpression Name(JinjaToken token)
    {
        if (token.Text is "true" or "True" or "false" or "False") return new JinjaConstant(token.At, token.Text is "true" or "True");
        if (token.Text is "none" or "None") return new JinjaConstant(token.At, JinjaNone.Value);
        if (char.IsDigit(token.Text[0])) throw new JinjaException($"unexpected '{token.Text}'", token.At);
        Reads.Add(token.Text);
        return new JinjaName(token.At, token.Text);
    }

    private List<T> Items<T>(string end, Func<T> read)
    {
        List<T> items = [];
        while (!tokens.Current.IsOperator(end))
        {
            if (items.Count > 0) tokens.Expect(",");
            if (tokens.Current.IsOperator(end)) break;
            items.Add(read());
        }

        tokens.Next();
        return items;
    }

    private JinjaExpression Postfix(JinjaExpression expression)
    {
        while (true)
        {
            JinjaPosition at = tokens.Current.At;
            if (tokens.Skip("."))
            {
                JinjaToken member = tokens.Next();
                object key = member.Kind switch
                {
                    JinjaTokenKind.Name => JinjaText.Template(member.Text),
                    JinjaTokenKind.Integer when member.Text.Length <= MaxDigits =>
                        BigInteger.Parse(member.Text, CultureInfo.InvariantCulture),
                    _ => throw new JinjaException("expected name or number", member.At),
                };
                expression = new JinjaSubscript(at, expression, new JinjaConstant(member.At, key), isAttribute: key is JinjaText);
            }
            else if (tokens.Skip("["))
            {
                expression = Subscript(at, expression);
            }
            else if (tokens.Current.IsOperator("("))
            {
                expression = new JinjaCall(at, expression, Arguments());
            }
            else
            {
                return expression;
            }
        }
    }

    private JinjaExpression Subscript(JinjaPosition at, JinjaExpression target)
    {
        JinjaExpression?[] bounds = new JinjaExpression?[3];
        int colons = 0;
        while (true)
        {
            if (tokens.Skip("]")) break;
            if (tokens.Current.IsOperator(":"))
            {
                if (++colons > 2) throw tokens.Error("expected token ']', got ':'");
                tokens.Next();
                continue;
            }

            if (bounds[colons] is not null) throw tokens.Error($"expected token ',', got '{tokens.Current}'");
            bounds[colons] = colons == 0 ? Keys() : Expression();
        }

        if (colons > 0) return new JinjaSlice(at, target, bounds[0], bounds[1], bounds[2]);
        return new JinjaSubscript(at, target, bounds[0] ?? throw tokens.Error("expected subscript expression"), isAttribute: false);
    }

    // A key, or a tuple of keys.
    private JinjaExpression Keys()
    {
        JinjaExpression first = Expression();
        if (!tokens.Current.IsOperator(",")) return first;
        List<JinjaExpression> keys = [first];
        while (tokens.Skip(","))
            keys.Add(Expression());
        return new JinjaListDisplay(first.At, keys, isTuple: true);
    }

    private JinjaExpression Test(JinjaExpression target)
    {
        JinjaPosition at = tokens.Next().At;
        bool isNegated = tokens.Skip("not");
        JinjaToken name = tokens.Expect(JinjaTokenKind.Name);
        if (!JinjaTests.All.TryGetValue(name.Text, out JinjaFunction? test))
            throw new JinjaException($"No test named '{name.Text}'.", name.At);

        JinjaToken next = tokens.Current;
        JinjaArgumentList arguments = JinjaArgumentList.None;
        if (next.IsOperator("("))
        {
            arguments = Arguments();
        }
        else if (next.Kind is JinjaTokenKind.Name or JinjaTokenKind.String or JinjaTokenKind.Integer or JinjaTokenKind.Float
            || next.IsOperator("[") || next.IsOperator("{"))
        {
            if (next.IsName("is")) throw tokens.Error("You cannot chain multiple tests with is");
            if (!next.IsName("else") && !next.IsName("or") && !next.IsName("and"))
                arguments = new JinjaArgumentList([Postfix(Primary())], [], null, null);
        }

        JinjaExpression result = new JinjaFilterCall(name.At, target, test, arguments);
        return isNegated ? new JinjaUnary(at, "not", result) : result;
    }

    private JinjaArgumentList Arguments()
    {
        using JinjaTokens.Level level = tokens.Enter();
        List<JinjaExpression> positional = [];
        List<(string Name, JinjaExpression Value)> named = [];
        JinjaExpression? spread = null;
        JinjaExpression? namedSpread = null;
        tokens.Expect("(");
        for (bool isFirst = true; !tokens.Current.IsOperator(")"); isFirst = false)
        {
            if (!isFirst) tokens.Expect(",");
            if (tokens.Current.IsOperator(")")) break;
            if (namedSpread is null && tokens.Skip("**"))
            {
                namedSpread = Expression();
            }
            else if (spread is null && namedSpread is null && tokens.Skip("*"))
            {
                spread = Expression();
            }
            else if (namedSpread is null && tokens.Current.Kind == JinjaTokenKind.Name && tokens.Ahead.IsOperator("="))
            {
                string name = tokens.Next().Text;
                tokens.Next();
                named.Add((name, Expression()));
            }
            else
            {
                if (named.Count > 0 || spread is not null || namedSpread is not null)
                    throw tokens.Error("invalid syntax for function call expression");
                positional.Add(Expression());
            }
        }

        tokens.Next();
        return new JinjaArgumentList(positional, named, spread, namedSpread);
    }
}
