using System.Numerics;

namespace QwenIlgpu;

/// <summary>A value written in the template.</summary>
internal sealed class JinjaConstant(JinjaPosition at, object value) : JinjaExpression(at)
{
    public object Constant => value;

    protected override object Value(JinjaScope scope) => value;
}

/// <summary>A variable.</summary>
internal sealed class JinjaName(JinjaPosition at, string name) : JinjaExpression(at)
{
    public string Name => name;

    protected override object Value(JinjaScope scope) => scope.Get(name);
}

/// <summary>[a, b] or (a, b).</summary>
internal sealed class JinjaListDisplay(JinjaPosition at, IReadOnlyList<JinjaExpression> items, bool isTuple) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object[] values = new object[items.Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = items[i].Evaluate(scope);
        scope.Run.Allocate(4L * values.Length);
        return new JinjaList(values, isTuple);
    }
}

/// <summary>{a: b}.</summary>
internal sealed class JinjaDictDisplay(JinjaPosition at, IReadOnlyList<(JinjaExpression Key, JinjaExpression Value)> items)
    : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        scope.Run.Allocate(16L * items.Count);
        JinjaDict dict = new();
        foreach ((JinjaExpression key, JinjaExpression value) in items)
            dict.Items[JinjaOperators.Key(key.Evaluate(scope))] = value.Evaluate(scope);
        return dict;
    }
}

/// <summary>a and b, a or b: one of the two values.</summary>
internal sealed class JinjaLogic(JinjaPosition at, JinjaExpression left, bool isAnd, JinjaExpression right) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object value = left.Evaluate(scope);
        return JinjaOperators.IsTrue(value) == isAnd ? right.Evaluate(scope) : value;
    }
}

/// <summary>a if b else c.</summary>
internal sealed class JinjaConditional(JinjaPosition at, JinjaExpression then, JinjaExpression condition, JinjaExpression? otherwise)
    : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        if (JinjaOperators.IsTrue(condition.Evaluate(scope))) return then.Evaluate(scope);
        return otherwise?.Evaluate(scope)
            ?? new JinjaUndefined($"the inline if-expression on line {At.Line} evaluated to false and no else section was defined.");
    }
}

/// <summary>not a, -a, +a.</summary>
internal sealed class JinjaUnary(JinjaPosition at, string operation, JinjaExpression operand) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object value = operand.Evaluate(scope);
        scope.Run.At = At;
        return operation switch
        {
            "not" => !JinjaOperators.IsTrue(value),
            _ when value is JinjaUndefined undefined => throw undefined.Error,
            _ when !JinjaNumbers.IsNumber(value) =>
                throw new JinjaException($"bad operand type for unary {operation}: '{JinjaOperators.TypeName(value)}'"),
            "-" => value is double real ? -real : -JinjaNumbers.Integer(value)!.Value,
            _ => value is double ? value : JinjaNumbers.Integer(value)!.Value,
        };
    }
}

/// <summary>a + b and its like.</summary>
internal sealed class JinjaBinary(JinjaPosition at, JinjaExpression left, string operation, JinjaExpression right) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object x = left.Evaluate(scope);
        object y = right.Evaluate(scope);
        scope.Run.At = At;
        return JinjaOperators.Calculate(scope.Run, operation, x, y);
    }
}

/// <summary>a ~ b ~ c: the values as one text.</summary>
internal sealed class JinjaConcatenation(JinjaPosition at, IReadOnlyList<JinjaExpression> parts) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        JinjaWriter writer = new(scope.Run);
        foreach (JinjaExpression part in parts)
            writer.Add(JinjaPrinter.ToText(scope.Run, part.Evaluate(scope)));
        return writer.ToText();
    }
}

/// <summary>a &lt; b == c: all neighbours compared, until one comparison is false.</summary>
internal sealed class JinjaComparison(
    JinjaPosition at, JinjaExpression first, IReadOnlyList<(string Operation, JinjaExpression Operand)> rest) : JinjaExpression(at)
{
    public static bool Holds(JinjaRun run, object x, string operation, object y) => operation switch
    {
        "==" => JinjaOperators.AreEqual(run, x, y),
        "!=" => !JinjaOperators.AreEqual(run, x, y),
        "in" => JinjaOperators.Contains(run, y, x),
        "not in" => !JinjaOperators.Contains(run, y, x),
        "<" => JinjaOperators.Compare(run, x, y, operation) < 0,
        "<=" => JinjaOperators.Compare(run, x, y, operation) <= 0,
        ">" => JinjaOperators.Compare(run, x, y, operation) > 0,
        _ => JinjaOperators.Compare(run, x, y, operation) >= 0,
    };

    protected override object Value(JinjaScope scope)
    {
        object x = first.Evaluate(scope);
        foreach ((string operation, JinjaExpression operand) in rest)
        {
            object y = operand.Evaluate(scope);
            scope.Run.At = At;
            if (!Holds(scope.Run, x, operation, y)) return false;
            x = y;
        }

        return true;
    }
}

/// <summary>a.b, a[b].</summary>
internal sealed class JinjaSubscript(JinjaPosition at, JinjaExpression target, JinjaExpression key, bool isAttribute) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object value = target.Evaluate(scope);
        object name = key.Evaluate(scope);
        scope.Run.At = At;
        return isAttribute
            ? JinjaMembers.Attribute(scope.Run, value, (JinjaText)name)
            : JinjaMembers.Item(scope.Run, value, name);
    }
}

/// <summary>a[b:c:d].</summary>
internal sealed class JinjaSlice(
    JinjaPosition at, JinjaExpression target, JinjaExpression? start, JinjaExpression? stop, JinjaExpression? step) : JinjaExpression(at)
{
    protected override object Value(JinjaScope scope)
    {
        object value = target.Evaluate(scope);
        BigInteger?[] bounds = [Bound(scope, start), Bound(scope, stop), Bound(scope, step)];
        scope.Run.At = At;
        return JinjaMembers.Slice(scope.Run, value, bounds[0], bounds[1], bounds[2]);
    }

    private static BigInteger? Bound(JinjaScope scope, JinjaExpression? bound)
    {
        object value = bound?.Evaluate(scope) ?? JinjaNone.Value;
        if (value is JinjaNone) return null;
        return JinjaNumbers.Integer(value)
            ?? throw new JinjaException("slice indices must be integers or None or have an __index__ method");
    }
}

/// <summary>The arguments of a call, as written.</summary>
internal sealed record JinjaArgumentList(
    IReadOnlyList<JinjaExpression> Positional,
    IReadOnlyList<(string Name, JinjaExpression Value)> Named,
    JinjaExpression? Spread,
    JinjaExpression? NamedSpread)
{
    public static readonly JinjaArgumentList None = new([], [], null, null);

    /// <summary>The values, after one given from elsewhere if there is one.</summary>
    public JinjaArguments Evaluate(JinjaScope scope, object? first = null)
    {
        scope.Run.Allocate(JinjaRun.CharactersPerScope);
        JinjaArguments arguments = new();
        if (first is not null) arguments.Positional.Add(first);
        foreach (JinjaExpression argument in Positional)
            arguments.Positional.Add(argument.Evaluate(scope));
        if (Spread is not null)
            arguments.Positional.AddRange(JinjaOperators.Iterate(scope.Run, Spread.Evaluate(scope)));
        foreach ((string name, JinjaExpression argument) in Named)
            arguments.AddNamed(name, argument.Evaluate(scope));
        if (NamedSpread is null) return arguments;

        if (NamedSpread.Evaluate(scope) is not JinjaDict named) throw new JinjaException("argument after ** must be a mapping");
        foreach ((object name, object value) in named.Items)
            arguments.AddNamed(name is JinjaText text ? text.Text : throw new JinjaException("keywords must be strings"), value);
        return arguments;
    }
}

/// <summary>f(a, b=c).</summary>
internal sealed class JinjaCall(JinjaPosition at, JinjaExpression function, JinjaArgumentList arguments) : JinjaExpression(at)
{
    /// <summary>Calls with a caller besides, as a call block does.</summary>
    public object Call(JinjaScope scope, JinjaMacro? caller)
    {
        object callee = function.Evaluate(scope);
        JinjaArguments values = arguments.Evaluate(scope);
        if (caller is not null) values.AddNamed("caller", caller);
        scope.Run.At = At;
        return callee switch
        {
            JinjaFunction builtin => builtin.Call(scope.Run, values),
            JinjaMacro macro => macro.Call(scope.Run, values),
            JinjaLoop loop => loop.Recurse(scope.Run, values),
            JinjaUndefined undefined => throw undefined.Error,
            _ => throw new JinjaException($"'{JinjaOperators.TypeName(callee)}' object is not callable"),
        };
    }

    protected override object Value(JinjaScope scope) => Call(scope, null);
}

/// <summary>a|f(b), and a is f(b) for a test.</summary>
internal sealed class JinjaFilterCall(JinjaPosition at, JinjaExpression? target, JinjaFunction filter, JinjaArgumentList arguments)
    : JinjaExpression(at)
{
    /// <summary>Filters a value from elsewhere, which takes the place of the innermost target.</summary>
    public object Apply(JinjaScope scope, object value)
    {
        scope.Run.EnsureStack();
        if (target is JinjaFilterCall inner) value = inner.Apply(scope, value);
        JinjaArguments values = arguments.Evaluate(scope, value);
        scope.Run.At = At;
        return filter.Call(scope.Run, values);
    }

    protected override object Value(JinjaScope scope)
    {
        JinjaArguments values = arguments.Evaluate(scope, target!.Evaluate(scope));
        scope.Run.At = At;
        return filter.Call(scope.Run, values);
    }
}
