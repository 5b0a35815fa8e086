using System.Numerics;

namespace QwenIlgpu;

/// <summary>for a in b if c recursive … else ….</summary>
internal sealed class JinjaFor(
    JinjaTarget target,
    JinjaExpression items,
    JinjaExpression? condition,
    bool isRecursive,
    IReadOnlyList<JinjaStatement> body,
    IReadOnlyList<JinjaStatement> otherwise) : JinjaStatement
{
    public bool IsRecursive => isRecursive;

    public override JinjaFlow Execute(JinjaScope scope, JinjaWriter output)
    {
        object value = items.Evaluate(scope);
        Execute(scope, value, output, depth: 0);
        return JinjaFlow.Next;
    }

    /// <summary>Visits the items of a value.</summary>
    public void Execute(JinjaScope scope, object value, JinjaWriter output, int depth)
    {
        JinjaLoop loop = new(this, scope, Chosen(scope, value), depth);
        bool isDone = false;                            // a body that is left early counts for nothing
        for (; loop.Index < loop.Items.Count; loop.Index++)
        {
            scope.Run.Step();
            scope.Run.Allocate(JinjaRun.CharactersPerScope);
            JinjaScope inner = scope.Inner();
            inner.Set("loop", loop);
            target.Assign(inner, loop.Items[loop.Index]);
            JinjaFlow flow = Execute(body, inner, output);
            if (flow == JinjaFlow.Break) break;
            isDone |= flow == JinjaFlow.Next;
        }

        if (!isDone) Execute(otherwise, scope.Inner(), output);
    }

    private IReadOnlyList<object> Chosen(JinjaScope scope, object value)
    {
        IReadOnlyList<object> all = JinjaOperators.Iterate(scope.Run, value);
        if (condition is null) return all;
        List<object> chosen = [];
        foreach (object item in all)
        {
            JinjaScope inner = scope.Inner();
            target.Assign(inner, item);
            scope.Run.Allocate(JinjaRun.CharactersPerScope);
            if (JinjaOperators.IsTrue(condition.Evaluate(inner))) chosen.Add(item);
        }

        return chosen;
    }
}

/// <summary>What a loop's body sees as "loop".</summary>
internal sealed class JinjaLoop(JinjaFor statement, JinjaScope scope, IReadOnlyList<object> items, int depth)
{
    private JinjaList? changed;

    public IReadOnlyList<object> Items => items;

    /// <summary>The item visited, from 0.</summary>
    public int Index { get; set; }

    /// <summary>The body's text for items within an item.</summary>
    public JinjaText Recurse(JinjaRun run, JinjaArguments arguments)
    {
        if (!statement.IsRecursive)
            throw new JinjaException("The loop must have the 'recursive' marker to be called recursively.");
        if (arguments.Positional.Count != 1) throw new JinjaException("loop() takes one argument.");
        run.Enter(JinjaRun.CallDepth);
        JinjaWriter output = new(run);
        statement.Execute(scope, arguments.Positional[0], output, depth + 1);
        run.Leave(JinjaRun.CallDepth);
        return output.ToText();
    }

    /// <summary>loop.name; null where there is no such thing.</summary>
    public object? Attribute(string name) => name switch
    {
        "index" => (BigInteger)(Index + 1),
        "index0" => (BigInteger)Index,
        "revindex" => (BigInteger)(items.Count - Index),
        "revindex0" => (BigInteger)(items.Count - Index - 1),
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => (BigInteger)items.Count,
        "depth" => (BigInteger)(depth + 1),
        "depth0" => (BigInteger)depth,
        "previtem" => Index > 0 ? items[Index - 1] : new JinjaUndefined("there is no previous item"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new JinjaUndefined("there is no next item"),
        "cycle" => new JinjaFunction("cycle", "*", call => call.Rest.Positional.Count == 0
            ? throw new JinjaException("no items for cycling given")
            : call.Rest.Positional[Index % call.Rest.Positional.Count]),
        "changed" => new JinjaFunction("changed", "*", call =>
        {
            JinjaList values = new([.. call.Rest.Positional]);
            bool isChange = changed is null || !JinjaOperators.AreEqual(call.Run, changed, values);
            changed = values;
            return isChange;
        }),
        _ => null,
    };
}
