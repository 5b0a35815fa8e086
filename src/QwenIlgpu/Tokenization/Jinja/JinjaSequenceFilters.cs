using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <summary>The filters of sequences.</summary>
internal static class JinjaSequenceFilters
{
    public static JinjaFunction[] All { get; } =
    [
        new("batch", "value linecount fill_with?", Batch),
        new("count", "value", static call => (BigInteger)JinjaOperators.Length(call[0])),
        new("dictsort", "value case_sensitive? by? reverse?", DictSort),
        new("first", "seq", First),
        new("groupby", "value attribute default? case_sensitive?", GroupBy),
        new("items", "value", static call => call[0] switch
        {
            JinjaUndefined => Generator([]),
            JinjaDict dict => Generator(JinjaMembers.Pairs(call.Run, dict)),
            _ => throw new JinjaException("Can only get item pairs from a mapping."),
        }),
        new("join", "value d? attribute?", Join),
        new("last", "seq", static call => call.Items(0) is [.., object last]
            ? last
            : new JinjaUndefined("No last item, sequence was empty.")),
        new("length", "value", static call => (BigInteger)JinjaOperators.Length(call[0])),
        new("list", "value", static call => new JinjaList(call.Items(0))),
        new("map", "value *", Map),
        new("max", "value case_sensitive? attribute?", static call => Extreme(call, 1)),
        new("min", "value case_sensitive? attribute?", static call => Extreme(call, -1)),
        new("reject", "value *", static call => Select(call, isAttribute: false, keeps: false)),
        new("rejectattr", "value *", static call => Select(call, isAttribute: true, keeps: false)),
        new("reverse", "value", static call => call[0] switch
        {
            JinjaText text => JinjaMembers.Slice(call.Run, text, null, null, -1),
            JinjaView { IsGenerator: true } => new JinjaList([.. call.Items(0).Reverse()]),
            _ => Generator([.. call.Items(0).Reverse()]),
        }),
        new("select", "value *", static call => Select(call, isAttribute: false, keeps: true)),
        new("selectattr", "value *", static call => Select(call, isAttribute: true, keeps: true)),
        new("slice", "value slices fill_with?", Slice),
        new("sort", "value reverse? case_sensitive? attribute?", static call => new JinjaList(
            JinjaOperators.Sorted(call.Run, call.Items(0), Keys(call, call.Values[3], isCased: call.IsTrue(2)), call.IsTrue(1)))),
        new("sum", "iterable attribute? start?", Sum),
        new("unique", "value case_sensitive? attribute?", Unique),
    ];

    private static JinjaView Generator(IReadOnlyList<object> items) => new("generator", items, isGenerator: true);

    private static object First(JinjaBoundCall call)
    {
        object? first = call[0] switch
        {
            JinjaView { IsGenerator: true } generator => generator.TakeOne(),
            JinjaText text => text.Text.Length > 0 ? text[0] : null,
            _ => call.Items(0) is [object item, ..] ? item : null,
        };
        return first ?? new JinjaUndefined("No first item, sequence was empty.");
    }

    private static JinjaText Join(JinjaBoundCall call)
    {
        JinjaText separator = call.Has(1) ? call.Printed(1) : JinjaText.Empty;
        Func<object, object> value = Key(call, call.Values[2], isCased: true);
        JinjaWriter writer = new(call.Run);
        IReadOnlyList<object> items = call.Items(0);
        for (int i = 0; i < items.Count; i++)
        {
            call.Run.Step();
            if (i > 0) writer.Add(separator);
            writer.Add(JinjaPrinter.ToText(call.Run, value(items[i])));
        }

        return writer.ToText();
    }

    private static JinjaView Map(JinjaBoundCall call)
    {
        JinjaArguments rest = call.Rest;
        if (rest.Positional.Count == 0)
        {
            object? attribute = rest.TakeNamed("attribute");
            object? fallback = rest.TakeNamed("default");
            if (attribute is null || rest.Named.Count > 0) throw new JinjaException("map requires a filter argument");
            if (!JinjaOperators.IsTrue(call[0])) return Generator([]);
            Func<object, object> value = Key(call, attribute, isCased: true, fallback);
            return Generator([.. call.Items(0).Select(value)]);
        }

        if (!JinjaOperators.IsTrue(call[0])) return Generator([]);
        JinjaFunction filter = Named(JinjaFilters.All, rest.Positional[0], "filter");
        List<object> mapped = [];
        foreach (object item in call.Items(0))
            mapped.Add(filter.Call(call.Run, With(call, item, rest, skipped: 1)));
        return Generator(mapped);
    }

    private static JinjaView Select(JinjaBoundCall call, bool isAttribute, bool keeps)
    {
        if (!JinjaOperators.IsTrue(call[0])) return Generator([]);      // None and 0 too
        JinjaArguments rest = call.Rest;
        if (isAttribute && rest.Positional.Count == 0) throw new JinjaException("Missing parameter for attribute name");
        int at = isAttribute ? 1 : 0;
        Func<object, object> value = isAttribute ? Key(call, rest.Positional[0], isCased: true) : static item => item;
        JinjaFunction? test = rest.Positional.Count > at ? Named(JinjaTests.All, rest.Positional[at], "test") : null;
        List<object> selected = [];
        foreach (object item in call.Items(0))
        {
            call.Run.Step();
            object tested = value(item);
            object holds = test is null ? tested : test.Call(call.Run, With(call, tested, rest, skipped: at + 1));
            if (JinjaOperators.IsTrue(holds) == keeps) selected.Add(item);
        }

        return Generator(selected);
    }

    private static JinjaFunction Named(IReadOnlyDictionary<string, JinjaFunction> all, object name, string kind) =>
        name is JinjaText text && all.TryGetValue(text.Text, out JinjaFunction? function)
            ? function
            : throw new JinjaException($"No {kind} named '{(name as JinjaText)?.Text}'.");

    private static JinjaArguments With(JinjaBoundCall call, object first, JinjaArguments rest, int skipped)
    {
        call.Run.Step();
        call.Run.Allocate(16);
        JinjaArguments arguments = new();
        arguments.Positional.Add(first);
        arguments.Positional.AddRange(rest.Positional.Skip(skipped));
        foreach ((string name, object value) in rest.Named)
            arguments.AddNamed(name, value);
        return arguments;
    }

    // The item, or what its attribute path leads to; small letters where cases do not count.
    private static Func<object, object> Key(JinjaBoundCall call, object? attribute, bool isCased, object? fallback = null)
    {
        JinjaRun run = call.Run;
        object[] path = attribute switch
        {
            null or JinjaNone => [],
            JinjaText text => [.. text.Text.Split('.').Select(static part => part.Length is > 0 and < 9 && part.All(char.IsAsciiDigit)
                ? (object)BigInteger.Parse(part, CultureInfo.InvariantCulture)
                : JinjaText.Data(part))],
            _ => [attribute],
        };
        return item =>
        {
            foreach (object part in path)
            {
                run.Step();
                item = JinjaMembers.Item(run, item, part);
                if (item is JinjaUndefined && fallback is not null) item = fallback;
            }

            return !isCased && item is JinjaText text ? JinjaStringMethods.Lower(run, text) : item;
        };
    }

    // Several attribute paths, with commas between them, make a list.
    private static Func<object, object> Keys(JinjaBoundCall call, object? attributes, bool isCased)
    {
        if (attributes is not JinjaText text || !text.Text.Contains(',')) return Key(call, attributes, isCased);
        Func<object, object>[] keys = [.. text.Text.Split(',').Select(attribute => Key(call, JinjaText.Data(attribute), isCased))];
        return item =>
        {
            call.Run.Allocate(keys.Length);
            return new JinjaList([.. keys.Select(key => key(item))]);
        };
    }

    private static JinjaList DictSort(JinjaBoundCall call)
    {
        if (call[0] is JinjaUndefined undefined) throw undefined.Error;
        if (call[0] is not JinjaDict dict)
            throw new JinjaException($"'{JinjaOperators.TypeName(call[0])} object' has no attribute 'items'");
        string by = call.Has(2) ? call.Text(2).Text : "key";
        if (by is not ("key" or "value")) throw new JinjaException("You can only sort by either \"key\" or \"value\"");
        Func<object, object> key = Key(call, (BigInteger)(by == "key" ? 0 : 1), isCased: call.IsTrue(1));
        return new JinjaList(JinjaOperators.Sorted(call.Run, JinjaMembers.Pairs(call.Run, dict), key, call.IsTrue(3)));
    }

    private static JinjaList GroupBy(JinjaBoundCall call)
    {
        Func<object, object> original = Key(call, call[1], isCased: true, call.Values[2]);
        Func<object, object> key = Key(call, call[1], isCased: call.IsTrue(3), call.Values[2]);
        List<object> groups = [];
        List<object> members = [];
        object? current = null;
        foreach (object item in JinjaOperators.Sorted(call.Run, call.Items(0), key, isReversed: false))
        {
            object own = key(item);
            if (current is null || !JinjaOperators.AreEqual(call.Run, current, own))
            {
                members = [];
                current = own;
                groups.Add(new JinjaList([original(item), new JinjaList(members)], isTuple: true) { Names = ["grouper", "list"] });
            }

            members.Add(item);
        }

        return new JinjaList(groups);
    }

    private static object Extreme(JinjaBoundCall call, int wanted)
    {
        Func<object, object> key = Key(call, call.Values[2], isCased: call.IsTrue(1));
        object? best = null;
        object? bestKey = null;
        foreach (object item in call.Items(0))
        {
            object own = key(item);
            int? order = bestKey is null ? wanted : JinjaOperators.Compare(call.Run, own, bestKey, wanted < 0 ? "<" : ">");
            if (Math.Sign(order ?? 0) != wanted) continue;
            (best, bestKey) = (item, own);
        }

        return best ?? new JinjaUndefined("No aggregated item, sequence was empty.");
    }

    private static object Sum(JinjaBoundCall call)
    {
        Func<object, object> value = Key(call, call.Values[1], isCased: true);
        object sum = call.Or(2, BigInteger.Zero);
        if (sum is JinjaText) throw new JinjaException("sum() can't sum strings [use ''.join(seq) instead]");
        foreach (object item in call.Items(0))
        {
            call.Run.Step();
            sum = JinjaOperators.Calculate(call.Run, "+", sum, value(item));
        }

        return sum;
    }

    private static JinjaView Unique(JinjaBoundCall call)
    {
        Func<object, object> key = Key(call, call.Values[2], isCased: call.IsTrue(1));
        HashSet<object> seen = new(JinjaEquality.Instance);
        call.Run.Allocate(0);
        List<object> items = [];
        foreach (object item in call.Items(0))
        {
            call.Run.Step();
            call.Run.Allocate(0);
            if (seen.Add(JinjaOperators.Key(key(item)))) items.Add(item);
        }

        return Generator(items);
    }

    private static JinjaView Batch(JinjaBoundCall call)
    {
        int size = call.Integer(1, 1);
        List<object> rows = [];
        List<object> row = [];
        foreach (object item in call.Items(0))
        {
            if (row.Count == size)
            {
                rows.Add(new JinjaList(row));
                row = [];
            }

            call.Run.Step();
            call.Run.Allocate(0);
            row.Add(item);
        }

        if (row.Count > 0)
        {
            int missing = call.Has(2) ? Math.Max(0, size - row.Count) : 0;
            call.Run.Allocate(4L * missing);
            row.AddRange(Enumerable.Repeat(call.Values[2]!, missing));
            rows.Add(new JinjaList(row));
        }

        return Generator(rows);
    }

    private static JinjaView Slice(JinjaBoundCall call)
    {
        IReadOnlyList<object> items = call.Items(0);
        int slices = call.Integer(1, 1);
        if (slices <= 0) return slices == 0 ? throw new JinjaException("integer division or modulo by zero") : Generator([]);
        call.Run.Step(slices);
        call.Run.Allocate((slices * 32L) + (items.Count * 4L));
        (int size, int longer) = Math.DivRem(items.Count, slices);
        List<object> rows = [];
        int start = 0;
        for (int i = 0; i < slices; i++)
        {
            int end = start + size + (i < longer ? 1 : 0);
            List<object> row = [.. items.Skip(start).Take(end - start)];
            if (call.Has(2) && i >= longer) row.Add(call[2]);
            rows.Add(new JinjaList(row));
            start = end;
        }

        return Generator(rows);
    }
}
