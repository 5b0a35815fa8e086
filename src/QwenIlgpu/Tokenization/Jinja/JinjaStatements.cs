namespace QwenIlgpu;

/// <summary>Text outside of tags.</summary>
internal sealed class JinjaLiteral(JinjaText text) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        output.Add(text);
        return JinjaFlow.Next;
    }
}

/// <summary>{{ a }}.</summary>
internal sealed class JinjaPrint(JinjaExpression expression) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        output.Add(JinjaPrinter.ToText(scope.Run, expression.Evaluate(scope)));
        return JinjaFlow.Next;
    }
}

/// <summary>if, elif and else, the last without a condition.</summary>
internal sealed class JinjaIf(IReadOnlyList<(JinjaExpression? Condition, IReadOnlyList<JinjaStatement> Body)> branches) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        foreach ((JinjaExpression? condition, IReadOnlyList<JinjaStatement> body) in branches)
        {
            if (condition is null || JinjaOperators.IsTrue(condition.Evaluate(scope))) return Execute(body, scope, output);
        }

        return JinjaFlow.Next;
    }
}

/// <summary>set a = b.</summary>
internal sealed class JinjaSet(JinjaTarget target, JinjaExpression value) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        target.Assign(scope, value.Evaluate(scope));
        return JinjaFlow.Next;
    }
}

/// <summary>A body whose text is filtered, then set or written: set, filter and generation blocks.</summary>
internal sealed class JinjaBlock(JinjaTarget? target, JinjaFilterCall? filter, IReadOnlyList<JinjaStatement> body) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        JinjaWriter captured = new(scope.Run);
        JinjaFlow flow = Execute(body, scope.Inner(), captured);
        if (flow != JinjaFlow.Next) return flow;

        object value = captured.ToText();
        if (filter is not null) value = filter.Apply(scope, value);
        if (target is not null) target.Assign(scope, value);
        else output.Add(JinjaPrinter.ToText(scope.Run, value));
        return JinjaFlow.Next;
    }
}

/// <summary>with a = b.</summary>
internal sealed class JinjaWith(
    IReadOnlyList<(JinjaTarget Target, JinjaExpression Value)> variables, IReadOnlyList<JinjaStatement> body) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        JinjaScope inner = scope.Inner();
        foreach ((JinjaTarget target, JinjaExpression value) in variables)
            target.Assign(inner, value.Evaluate(scope));
        return Execute(body, inner, output);
    }
}

/// <summary>break or continue.</summary>
internal sealed class JinjaJump(JinjaFlow flow) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output) => flow;
}

/// <summary>What macros and call blocks declare.</summary>
internal sealed record JinjaMacroDefinition(
    string Name,
    IReadOnlyList<(string Name, JinjaExpression? Default)> Parameters,
    IReadOnlyList<JinjaStatement> Body,
    IReadOnlySet<string> Reads);

/// <summary>macro f(a, b=c).</summary>
internal sealed class JinjaMacroStatement(JinjaMacroDefinition definition) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        scope.Set(definition.Name, new JinjaMacro(definition, scope));
        return JinjaFlow.Next;
    }
}

/// <summary>call f(a).</summary>
internal sealed class JinjaCallBlock(JinjaCall call, JinjaMacroDefinition caller) : JinjaStatement
{
    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        output.Add(JinjaPrinter.ToText(scope.Run, call.Call(scope, new JinjaMacro(caller, scope))));
        return JinjaFlow.Next;
    }
}

/// <summary>A macro where it was declared, with the variables it sees there.</summary>
internal sealed class JinjaMacro(JinjaMacroDefinition definition, JinjaScope scope)
{
    public string Name => definition.Name;

    public IEnumerable<string> Parameters => definition.Parameters.Select(static parameter => parameter.Name);

    public JinjaText Call(JinjaRun run, JinjaArguments arguments)
    {
        run.Enter(JinjaRun.CallDepth);
        run.Allocate(JinjaRun.CharactersPerScope);
        JinjaScope inner = scope.Inner();
        JinjaPosition at = run.At;
        int given = arguments.Positional.Count;
        for (int i = 0; i < definition.Parameters.Count; i++)
        {
            (string name, JinjaExpression? fallback) = definition.Parameters[i];
            object? named = arguments.TakeNamed(name);
            if (named is not null && i < given)
                throw new JinjaException($"macro '{Name}' got multiple values for argument '{name}'");
            inner.Set(name, i < given ? arguments.Positional[i] : named ?? fallback?.Evaluate(inner)
                ?? new JinjaUndefined($"parameter '{name}' was not provided"));
            run.At = at;
        }

        SetRest(run, inner, arguments);
        JinjaText text = JinjaStatement.Capture(definition.Body, inner);
        run.Leave(JinjaRun.CallDepth);
        return text;
    }

    // caller, varargs and kwargs are there for bodies that read them.
    private void SetRest(JinjaRun run, JinjaScope inner, JinjaArguments arguments)
    {
        if (definition.Reads.Contains("caller") && !Parameters.Contains("caller"))
            inner.Set("caller", arguments.TakeNamed("caller") ?? new JinjaUndefined("No caller defined"));

        int most = definition.Parameters.Count;
        if (definition.Reads.Contains("varargs"))
            inner.Set("varargs", new JinjaList([.. arguments.Positional.Skip(most)], isTuple: true));
        else if (arguments.Positional.Count > most)
            throw new JinjaException($"macro '{Name}' takes not more than {most} argument(s)");

        run.Allocate(arguments.Positional.Count + (8L * arguments.Named.Count));
        if (definition.Reads.Contains("kwargs"))
        {
            JinjaDict named = new();
            foreach ((string name, object value) in arguments.Named)
                named.Items[JinjaText.Data(name)] = value;       // which ** may have taken from data
            inner.Set("kwargs", named);
        }
        else if (arguments.Named.Count > 0)
        {
            throw new JinjaException($"macro '{Name}' takes no keyword argument '{arguments.Named[0].Key}'");
        }
    }
}
