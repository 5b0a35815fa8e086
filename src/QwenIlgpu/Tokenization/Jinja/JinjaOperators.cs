using System.Numerics;
using System.Runtime.CompilerServices;

namespace QwenIlgpu;

/// <summary>What Python's operators make of values.</summary>
internal static class JinjaOperators
{
    /// <summary>The name of a value's type in messages.</summary>
    public static string TypeName(object value) => value switch
    {
        JinjaNone => "NoneType",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        JinjaText => "str",
        JinjaList list => list.IsTuple ? "tuple" : "list",
        JinjaDict => "dict",
        JinjaView view => view.Type,
        JinjaRange => "range",
        JinjaUndefined => "Undefined",
        JinjaNamespace => "Namespace",
        JinjaLoop => "LoopContext",
        JinjaMacro => "Macro",
        _ => "function",
    };

    /// <summary>bool(value).</summary>
    public static bool IsTrue(object value) => value switch
    {
        JinjaNone or JinjaUndefined => false,
        bool flag => flag,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        JinjaText text => text.Text.Length > 0,
        JinjaList list => list.Items.Count > 0,
        JinjaDict dict => dict.Items.Count > 0,
        JinjaRange range => range.Count > 0,
        JinjaView { IsGenerator: false } view => view.Take().Count > 0,
        _ => true,
    };

    /// <summary>len(value).</summary>
    public static int Length(object value) => value switch
    {
        JinjaText text => text.Length,
        JinjaList list => list.Items.Count,
        JinjaDict dict => dict.Items.Count,
        JinjaRange range => range.Count,
        JinjaUndefined => 0,
        JinjaView { IsGenerator: false } view => view.Take().Count,
        JinjaLoop loop => loop.Items.Count,
        _ => throw new JinjaException($"object of type '{TypeName(value)}' has no len()"),
    };

    public static bool IsIterable(object value) =>
        value is JinjaText or JinjaList or JinjaDict or JinjaRange or JinjaView or JinjaUndefined or JinjaLoop;

    /// <summary>The items that a loop over the value visits.</summary>
    public static IReadOnlyList<object> Iterate(JinjaRun run, object value)
    {
        switch (value)
        {
            case JinjaList list:
                return list.Items;
            case JinjaView view:
                return view.Take();
            case JinjaUndefined:
                return [];
            case JinjaLoop loop:
                return loop.Items;
            case JinjaText or JinjaDict or JinjaRange:
                int length = Length(value);
                run.Step(length);
                run.Allocate(length * 32L);
                return value switch
                {
                    JinjaDict dict => [.. dict.Items.Keys],
                    JinjaRange range => [.. Enumerable.Range(0, length).Select(i => range[i])],
                    _ => [.. Enumerable.Range(0, length).Select(i => ((JinjaText)value)[i])],
                };
            default:
                throw new JinjaException($"'{TypeName(value)}' object is not iterable");
        }
    }

    /// <summary>x == y.</summary>
    public static bool AreEqual(JinjaRun run, object x, object y)
    {
        run.Step();
        if (JinjaNumbers.IsNumber(x) && JinjaNumbers.IsNumber(y)) return JinjaNumbers.Compare(x, y) == 0;
        if (ReferenceEquals(x, y)) return true;
        switch (x, y)
        {
            case (JinjaText a, JinjaText b):
                if (a.Text.Length == b.Text.Length) run.Search(a.Text.Length, 1);
                return a.Text == b.Text;
            case (JinjaUndefined, JinjaUndefined):
                return true;
            case (JinjaRange a, JinjaRange b):
                return AreEqual(run, new JinjaList(Iterate(run, a)), new JinjaList(Iterate(run, b)));
            case (JinjaList a, JinjaList b) when a.IsTuple == b.IsTuple && a.Items.Count == b.Items.Count:
                run.Enter();
                for (int i = 0; i < a.Items.Count; i++)
                {
                    if (!AreEqual(run, a.Items[i], b.Items[i])) return Left(run, false);
                }

                return Left(run, true);
            case (JinjaDict a, JinjaDict b) when a.Items.Count == b.Items.Count:
                run.Enter();
                foreach ((object key, object item) in a.Items)
                {
                    if (!b.Items.TryGetValue(key, out object? other) || !AreEqual(run, item, other)) return Left(run, false);
                }

                return Left(run, true);
            default:
                return false;
        }
    }

    /// <summary>Below 0 where x &lt; y, above where x &gt; y; null for NaN. The operator is for the message.</summary>
    public static int? Compare(JinjaRun run, object x, object y, string operation)
    {
        run.Step();
        if (JinjaNumbers.IsNumber(x) && JinjaNumbers.IsNumber(y)) return JinjaNumbers.Compare(x, y);
        if (x is JinjaUndefined a) throw a.Error;
        if (y is JinjaUndefined b) throw b.Error;
        if (x is JinjaText text && y is JinjaText other)
        {
            run.Search(Math.Min(text.Text.Length, other.Text.Length), 1);
            return CompareCodePoints(text.Text, other.Text);
        }

        if (x is not JinjaList list || y is not JinjaList others || list.IsTuple != others.IsTuple)
            throw new JinjaException($"'{operation}' not supported between instances of '{TypeName(x)}' and '{TypeName(y)}'");
        run.Enter();
        for (int i = 0; i < Math.Min(list.Items.Count, others.Items.Count); i++)
        {
            if (!AreEqual(run, list.Items[i], others.Items[i]))
                return Left(run, Compare(run, list.Items[i], others.Items[i], operation));
        }

        return Left(run, list.Items.Count.CompareTo(others.Items.Count));
    }

    /// <summary>Items in the order of their keys; those of equal keys stay as they are.</summary>
    public static IReadOnlyList<T> Sorted<T>(JinjaRun run, IReadOnlyList<T> items, Func<T, object> key, bool isReversed = false)
    {
        run.Allocate(items.Count * 8L);
        Comparer<object> comparer = Comparer<object>.Create((x, y) => Compare(run, x, y, "<") ?? 0);
        List<(object Key, T Item)> keyed = [.. items.Select(item => (key(item), item))];
        try
        {
            IEnumerable<(object Key, T Item)> ordered = isReversed
                ? keyed.OrderByDescending(static pair => pair.Key, comparer)
                : keyed.OrderBy(static pair => pair.Key, comparer);
            return [.. ordered.Select(static pair => pair.Item)];
        }
        catch (InvalidOperationException error) when (error.InnerException is JinjaException inner)     // as sorting wraps it
        {
            throw new JinjaException(inner.Words, inner.At);
        }
    }

    /// <summary>value in container.</summary>
    public static bool Contains(JinjaRun run, object container, object value)
    {
        switch (container)
        {
            case JinjaText text:
                if (value is JinjaUndefined undefined) throw undefined.Error;
                if (value is not JinjaText part)
                    throw new JinjaException($"'in <string>' requires string as left operand, not {TypeName(value)}");
                run.Search(text.Text.Length, part.Text.Length);
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case JinjaDict dict:
                return dict.Items.ContainsKey(Key(value));
            default:
                if (!IsIterable(container)) throw new JinjaException($"argument of type '{TypeName(container)}' is not iterable");
                foreach (object item in Iterate(run, container))
                {
                    if (AreEqual(run, item, value)) return true;
                }

                return false;
        }
    }

    /// <summary>A value as a key of a dict, which a list or dict cannot be.</summary>
    public static object Key(object value) => IsHashable(value)
        ? value
        : throw new JinjaException($"unhashable type: '{TypeName(value)}'");

    /// <summary>x ⊕ y for + - * / // % **.</summary>
    public static object Calculate(JinjaRun run, string operation, object x, object y)
    {
        if (JinjaNumbers.IsNumber(x) && JinjaNumbers.IsNumber(y)) return JinjaNumbers.Calculate(operation, x, y);
        if (operation == "%" && x is JinjaText format) return JinjaFormat.Percent(run, format, y);
        if (x is JinjaUndefined a) throw a.Error;
        if (y is JinjaUndefined b) throw b.Error;

        switch (operation, x, y)
        {
            case ("+", JinjaText, JinjaText):
                return new JinjaWriter(run).Add((JinjaText)x).Add((JinjaText)y).ToText();
            case ("+", JinjaText, _):
                throw new JinjaException($"can only concatenate str (not \"{TypeName(y)}\") to str");
            case ("+", JinjaList left, JinjaList right) when left.IsTuple == right.IsTuple:
                run.Allocate(4L * (left.Items.Count + right.Items.Count));
                return new JinjaList([.. left.Items, .. right.Items], left.IsTuple);
            case ("*", JinjaText or JinjaList, _) when JinjaNumbers.Integer(y) is { } times:
                return Repeat(run, x, times);
            case ("*", _, JinjaText or JinjaList) when JinjaNumbers.Integer(x) is { } times:
                return Repeat(run, y, times);
            default:
                string shown = operation == "**" ? "** or pow()" : operation;
                throw new JinjaException($"unsupported operand type(s) for {shown}: '{TypeName(x)}' and '{TypeName(y)}'");
        }
    }

    /// <summary>The words of an undefined attribute or item of a value.</summary>
    public static JinjaUndefined Missing(object value, object name)
    {
        if (name is JinjaText text) return new JinjaUndefined(value, text.Text);
        string type = value is JinjaNone ? "None" : $"{TypeName(value)} object";
        return new JinjaUndefined($"{type} has no element {(name is BigInteger or double ? JinjaNumbers.ToText(name) : TypeName(name))}");
    }

    /// <summary>Whether a value can be a key.</summary>
    public static bool IsHashable(object value)
    {
        if (value is not JinjaList list) return value is not JinjaDict;
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException("a key is nested too deeply.");
        return list.IsTuple && list.Items.All(IsHashable);
    }

    // By code points: a surrogate stands above all other units.
    private static int CompareCodePoints(string x, string y)
    {
        int same = x.AsSpan().CommonPrefixLength(y);
        if (same == x.Length || same == y.Length) return x.Length.CompareTo(y.Length);
        return (char.IsSurrogate(x[same]), char.IsSurrogate(y[same])) switch
        {
            (true, false) => 1,
            (false, true) => -1,
            _ => x[same].CompareTo(y[same]),
        };
    }

    private static object Repeat(JinjaRun run, object value, BigInteger times)
    {
        int length = value is JinjaText text ? text.Text.Length : ((JinjaList)value).Items.Count;
        if (times.Sign <= 0 || length == 0) return value is JinjaText ? JinjaText.Empty : new JinjaList([], ((JinjaList)value).IsTuple);
        long count = times > int.MaxValue ? int.MaxValue : (long)times;
        run.Step(count);
        run.Allocate(count * length);
        if (value is JinjaList list)
            return new JinjaList([.. Enumerable.Repeat(list.Items, (int)count).SelectMany(static items => items)], list.IsTuple);

        JinjaWriter writer = new(run);
        for (long i = 0; i < count; i++)
            writer.Add((JinjaText)value);
        return writer.ToText();
    }

    private static T Left<T>(JinjaRun run, T result)
    {
        run.Leave();
        return result;
    }
}
