using System.Numerics;

namespace QwenIlgpu;

/// <summary>
/// Attributes, items and slices of values. Methods that would change a list or dict, and names with underscores, are refused as the
/// sandbox does: where they are used.
/// </summary>
internal static class JinjaMembers
{
    private static readonly IReadOnlyDictionary<string, JinjaFunction> dictMethods = new JinjaFunction[]
    {
        new("get", "self key default?", static call => Dict(call).Items.TryGetValue(JinjaOperators.Key(call[1]), out object? value)
            ? value
            : call.Or(2, JinjaNone.Value)),
        new("items", "self", static call => new JinjaView("dict_items", Pairs(call.Run, Dict(call)), isGenerator: false)),
        new("keys", "self", static call => new JinjaView("dict_keys", call.Items(0), isGenerator: false)),
        new("values", "self", static call => new JinjaView("dict_values", Values(call.Run, Dict(call)), isGenerator: false)),
        new("copy", "self", static call => call[0]),
    }.ToDictionary(static method => method.Name, StringComparer.Ordinal);

    private static readonly IReadOnlyDictionary<string, JinjaFunction> listMethods = new JinjaFunction[]
    {
        new("index", "self value start? stop?", static call => Index(call)),
        new("count", "self value", static call =>
            (BigInteger)call.Items(0).Count(item => JinjaOperators.AreEqual(call.Run, item, call[1]))),
        new("copy", "self", static call => call[0]),
    }.ToDictionary(static method => method.Name, StringComparer.Ordinal);

    private static readonly HashSet<string> unsafeNames =
    [
        "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", "popitem", "setdefault", "update",
    ];

    /// <summary>value.name: an attribute before an item.</summary>
    public static object Attribute(JinjaRun run, object value, JinjaText name)
    {
        if (value is JinjaUndefined undefined) throw undefined.Error;
        if (Own(run, value, name.Text) is { } own) return own;
        return value is JinjaDict dict && dict.Items.TryGetValue(name, out object? item) ? item : JinjaOperators.Missing(value, name);
    }

    /// <summary>value[key]: an item before an attribute.</summary>
    public static object Item(JinjaRun run, object value, object key)
    {
        switch (value)
        {
            case JinjaUndefined undefined:
                throw undefined.Error;
            case JinjaDict dict when JinjaOperators.IsHashable(key) && dict.Items.TryGetValue(key, out object? item):
                return item;
            case JinjaText or JinjaList or JinjaRange when JinjaNumbers.Integer(key) is { } index:
                int length = JinjaOperators.Length(value);
                if (index < 0) index += length;
                if (index < 0 || index >= length) break;
                run.Allocate(16);
                return value switch
                {
                    JinjaText text => text[(int)index],
                    JinjaList list => list.Items[(int)index],
                    _ => ((JinjaRange)value)[(int)index],
                };
            default:
                break;
        }

        return (key is JinjaText name ? Own(run, value, name.Text) : null) ?? JinjaOperators.Missing(value, key);
    }

    /// <summary>value[start:stop:step].</summary>
    public static object Slice(JinjaRun run, object value, BigInteger? start, BigInteger? stop, BigInteger? step)
    {
        if (value is JinjaUndefined undefined) throw undefined.Error;
        if (value is JinjaDict) throw new JinjaException("unhashable type: 'slice'");
        if (value is not (JinjaText or JinjaList or JinjaRange))
            throw new JinjaException($"'{JinjaOperators.TypeName(value)}' object is not subscriptable");

        int length = JinjaOperators.Length(value);
        BigInteger by = step ?? 1;
        if (by.IsZero) throw new JinjaException("slice step cannot be zero");
        bool isForward = by.Sign > 0;
        int first = Bound(start, isForward ? 0 : length - 1);
        int end = Bound(stop, isForward ? length : -1);
        int stride = (int)BigInteger.Clamp(by, -length - 1, length + 1);

        if (value is JinjaText whole && stride == 1)
        {
            run.Allocate(Math.Max(0, end - first));
            return whole.Slice(first, end);
        }

        if (value is JinjaRange range) return range.Slice(first, end, stride);
        List<object> items = [];
        for (int i = first; isForward ? i < end : i > end; i += stride)
        {
            run.Step();
            run.Allocate(0);
            items.Add(value is JinjaText text ? text[i] : ((JinjaList)value).Items[i]);
        }

        if (value is not JinjaText) return new JinjaList(items, value is JinjaList { IsTuple: true });
        JinjaWriter writer = new(run);
        foreach (object item in items)
            writer.Add((JinjaText)item);
        return writer.ToText();

        int Bound(BigInteger? bound, int fallback)
        {
            if (bound is not { } given) return fallback;
            if (given < 0) given += length;
            return (int)BigInteger.Clamp(given, isForward ? 0 : -1, isForward ? length : length - 1);
        }
    }

    /// <summary>The items of a dict as tuples.</summary>
    public static object[] Pairs(JinjaRun run, JinjaDict dict)
    {
        run.Step(dict.Items.Count);
        run.Allocate(32L * dict.Items.Count);
        return [.. dict.Items.Select(static pair => new JinjaList([pair.Key, pair.Value], isTuple: true))];
    }

    /// <summary>An attribute that the value's type has; null where it has none of that name.</summary>
    public static object? Own(JinjaRun run, object value, string name)
    {
        bool isUnsafe = name.Length > 4 && name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal);
        if (isUnsafe || (value is JinjaDict or JinjaList { IsTuple: false } && unsafeNames.Contains(name)))
            return new JinjaUndefined($"access to attribute '{name}' of '{JinjaOperators.TypeName(value)}' object is unsafe.");

        run.Allocate(0);
        return value switch
        {
            JinjaText text => JinjaStringMethods.All.GetValueOrDefault(name)?.Bind(text),
            JinjaDict dict => dictMethods.GetValueOrDefault(name)?.Bind(dict),
            JinjaList { Names: { } names } group when names.IndexOf(name) is >= 0 and int at => group.Items[at],
            JinjaList list => listMethods.GetValueOrDefault(name)?.Bind(list),
            JinjaNamespace space => space.Items.GetValueOrDefault(name),
            JinjaLoop loop => loop.Attribute(name),
            JinjaMacro macro when name == "name" => JinjaText.Template(macro.Name),
            JinjaMacro macro when name == "arguments" => new JinjaList([.. macro.Parameters.Select(JinjaText.Template)], isTuple: true),
            _ => null,
        };
    }

    private static JinjaDict Dict(JinjaBoundCall call) => (JinjaDict)call[0];

    private static object[] Values(JinjaRun run, JinjaDict dict)
    {
        run.Step(dict.Items.Count);
        run.Allocate(4L * dict.Items.Count);
        return [.. dict.Items.Values];
    }

    private static BigInteger Index(JinjaBoundCall call)
    {
        IReadOnlyList<object> items = call.Items(0);
        int stop = Math.Min(items.Count, call.Integer(3, items.Count));
        for (int i = Math.Max(0, call.Integer(2, 0)); i < stop; i++)
        {
            if (JinjaOperators.AreEqual(call.Run, items[i], call[1])) return i;
        }

        throw new JinjaException("the value is not in the list");
    }
}
