namespace QwenIlgpu;

/// <summary>An expression, which evaluates to a value.</summary>
internal abstract class JinjaExpression(JinjaPosition at)
{
    public JinjaPosition At => at;

    public object Evaluate(JinjaScope scope)
    {
        scope.Run.At = at;
        scope.Run.Step();
        scope.Run.EnsureStack();
        return Value(scope);
    }

    protected abstract object Value(JinjaScope scope);
}

/// <summary>How a statement was left.</summary>
internal enum JinjaFlow
{
    Next,
    Break,
    Continue,
}

/// <summary>A statement, which writes text and sets variables.</summary>
internal abstract class JinjaStatement
{
    public abstract JinjaFlow Execute(JinjaScope scope, JinjaWriter output);

    /// <summary>Statements in order, until one leaves the loop around them.</summary>
    public static JinjaFlow Execute(IReadOnlyList<JinjaStatement> body, JinjaScope scope, JinjaWriter output)
    {
        foreach (JinjaStatement statement in body)
        {
            scope.Run.Step();
            JinjaFlow flow = statement.Execute(scope, output);
            if (flow != JinjaFlow.Next) return flow;
        }

        return JinjaFlow.Next;
    }

    /// <summary>What statements write, as a value.</summary>
    public static JinjaText Capture(IReadOnlyList<JinjaStatement> body, JinjaScope scope)
    {
        JinjaWriter output = new(scope.Run);
        Execute(body, scope, output);
        return output.ToText();
    }
}

/// <summary>The variables of a stretch of a template, which sees those around it.</summary>
internal sealed class JinjaScope(JinjaRun run, JinjaScope? parent)
{
    private Dictionary<string, object>? variables;

    public JinjaRun Run => run;

    public void Set(string name, object value) => (variables ??= new(StringComparer.Ordinal))[name] = value;

    public object Get(string name)
    {
        for (JinjaScope? scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope.variables is not null && scope.variables.TryGetValue(name, out object? value)) return value;
        }

        return JinjaFunctions.Globals.TryGetValue(name, out JinjaFunction? function)
            ? function
            : new JinjaUndefined($"'{name}' is undefined");
    }

    /// <summary>A scope within this one.</summary>
    public JinjaScope Inner() => new(run, this);

    private JinjaScope? Parent => parent;
}

/// <summary>Where values go: a name, a namespace's attribute, or a tuple of such.</summary>
internal abstract record JinjaTarget(JinjaPosition At)
{
    public abstract void Assign(JinjaScope scope, object value);

    internal sealed record Name(JinjaPosition At, string Variable) : JinjaTarget(At)
    {
        public override void Assign(JinjaScope scope, object value) => scope.Set(Variable, value);
    }

    internal sealed record Attribute(JinjaPosition At, string Variable, string Member) : JinjaTarget(At)
    {
        public override void Assign(JinjaScope scope, object value)
        {
            scope.Run.At = At;
            if (scope.Get(Variable) is not JinjaNamespace space)
                throw new JinjaException("cannot assign attribute on non-namespace object");
            scope.Run.Allocate(Member.Length);
            space.Items[Member] = value;
        }
    }

    internal sealed record Tuple(JinjaPosition At, IReadOnlyList<JinjaTarget> Parts) : JinjaTarget(At)
    {
        public override void Assign(JinjaScope scope, object value)
        {
            scope.Run.At = At;
            IReadOnlyList<object> items = JinjaOperators.Iterate(scope.Run, value);
            if (items.Count != Parts.Count)
            {
                throw new JinjaException(items.Count > Parts.Count
                    ? $"too many values to unpack (expected {Parts.Count})"
                    : $"not enough values to unpack (expected {Parts.Count}, got {items.Count})");
            }

            for (int i = 0; i < Parts.Count; i++)
                Parts[i].Assign(scope, items[i]);
        }
    }
}
