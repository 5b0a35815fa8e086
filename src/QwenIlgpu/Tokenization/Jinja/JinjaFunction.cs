using System.Numerics;

namespace QwenIlgpu;

/// <summary>The values a call was given.</summary>
internal sealed class JinjaArguments
{
    private OrderedDictionary<string, object>? named;

    public List<object> Positional { get; } = [];

    public IReadOnlyList<KeyValuePair<string, object>> Named => (IReadOnlyList<KeyValuePair<string, object>>?)named ?? [];

    public void AddNamed(string name, object value)
    {
        named ??= new OrderedDictionary<string, object>(StringComparer.Ordinal);
        if (!named.TryAdd(name, value)) throw new JinjaException($"got multiple values for keyword argument '{name}'");
    }

    /// <summary>Removes a named value; null where there is none.</summary>
    public object? TakeNamed(string name) => named is not null && named.Remove(name, out object? value) ? value : null;

    /// <summary>A named value; null where there is none.</summary>
    public object? GetNamed(string name) => named?.GetValueOrDefault(name);
}

/// <summary>
/// A function, filter, test or method of the language itself. Its signature names its parameters; those with a question mark may be left
/// out, and a star takes whatever else is given.
/// </summary>
internal sealed class JinjaFunction
{
    private readonly string[] parameters;
    private readonly int required;
    private readonly bool takesRest;
    private readonly Func<JinjaBoundCall, object> body;

    public JinjaFunction(string name, string signature, Func<JinjaBoundCall, object> body)
    {
        string[] words = signature.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        takesRest = words.Length > 0 && words[^1] == "*";
        required = words.Count(static word => word[^1] is not ('?' or '*'));
        parameters = [.. words.Where(static word => word != "*").Select(static word => word.TrimEnd('?'))];
        (Name, this.body) = (name, body);
    }

    // Takes whatever is given.
    private JinjaFunction(string name, Func<JinjaBoundCall, object> body) => (Name, this.body, parameters, takesRest) = (name, body, [], true);

    public string Name { get; }

    public object Call(JinjaRun run, JinjaArguments arguments)
    {
        object?[] values = new object?[parameters.Length];
        int given = Math.Min(arguments.Positional.Count, values.Length);
        arguments.Positional.CopyTo(0, values!, 0, given);
        arguments.Positional.RemoveRange(0, given);
        for (int i = 0; i < values.Length; i++)
        {
            object? named = arguments.TakeNamed(parameters[i]);
            if (named is not null && i < given) throw new JinjaException($"{Name}() got multiple values for argument '{parameters[i]}'");
            values[i] ??= named;
            if (values[i] is null && i < required) throw new JinjaException($"{Name}() missing the required argument '{parameters[i]}'");
        }

        int extra = takesRest ? 0 : arguments.Positional.Count;
        if (extra > 0) throw new JinjaException($"{Name}() takes {parameters.Length} arguments but {parameters.Length + extra} were given");
        if (!takesRest && arguments.Named.Count > 0)
            throw new JinjaException($"{Name}() got an unexpected keyword argument '{arguments.Named[0].Key}'");
        return body(new JinjaBoundCall(run, values, arguments));
    }

    /// <summary>A method, its first parameter bound to its object.</summary>
    public JinjaFunction Bind(object self)
    {
        JinjaFunction unbound = this;
        return new JinjaFunction(Name, call =>
        {
            call.Rest.Positional.Insert(0, self);
            return unbound.Call(call.Run, call.Rest);
        });
    }
}

/// <summary>The arguments of a function by place; those left out are null.</summary>
internal readonly record struct JinjaBoundCall(JinjaRun Run, object?[] Values, JinjaArguments Rest)
{
    public object this[int index] => Values[index]!;

    public bool Has(int index) => Values[index] is not (null or JinjaNone);

    public object Or(int index, object fallback) => Values[index] ?? fallback;

    public bool IsTrue(int index, bool fallback = false) => Values[index] is { } value ? JinjaOperators.IsTrue(value) : fallback;

    public IReadOnlyList<object> Items(int index) => JinjaOperators.Iterate(Run, this[index]);

    /// <summary>A string argument.</summary>
    public JinjaText Text(int index) => this[index] switch
    {
        JinjaText text => text,
        JinjaUndefined undefined => throw undefined.Error,
        object other => throw new JinjaException($"a str is expected, not '{JinjaOperators.TypeName(other)}'"),
    };

    /// <summary>Any argument as a string, as filters take their value.</summary>
    public JinjaText Printed(int index) => JinjaPrinter.ToText(Run, this[index]);

    /// <summary>An integer argument, cut to what an int holds; the fallback where it is None or left out.</summary>
    public int Integer(int index, int fallback)
    {
        if (!Has(index)) return fallback;
        BigInteger value = JinjaNumbers.Integer(this[index])
            ?? throw new JinjaException($"'{JinjaOperators.TypeName(this[index])}' object cannot be interpreted as an integer");
        return (int)BigInteger.Clamp(value, int.MinValue + 1, int.MaxValue);
    }
}
