using System.Globalization;
using System.Text;

namespace QwenIlgpu;

/// <summary>The functions that every template sees.</summary>
internal static class JinjaFunctions
{
    private const int MaxRange = 100_000;

    public static IReadOnlyDictionary<string, JinjaFunction> Globals { get; } = new JinjaFunction[]
    {
        new("range", "start stop? step?", Range),
        new("dict", "source? *", Dict),
        new("namespace", "source? *", Namespace),
        new("joiner", "sep?", Joiner),
        new("cycler", "*", Cycler),
        new("raise_exception", "message", static call => throw new JinjaException(call.Printed(0).Text, call.Run.At, isRaised: true)),
        new("strftime_now", "format", static call => JinjaText.Data(Time(call.Run.Now, call.Text(0).Text))),
    }.ToDictionary(static function => function.Name, StringComparer.Ordinal);

    private static JinjaRange Range(JinjaBoundCall call)
    {
        if (call.Values.Any(static value => value is not null && JinjaNumbers.Integer(value) is null))
            throw new JinjaException("range() takes integers");
        (int start, int stop) = call.Has(1) ? (call.Integer(0, 0), call.Integer(1, 0)) : (0, call.Integer(0, 0));
        int step = call.Integer(2, 1);
        if (step == 0) throw new JinjaException("range() arg 3 must not be zero");
        long count = Math.Max(0, step > 0 ? ((long)stop - start + step - 1) / step : ((long)start - stop - step - 1) / -(long)step);
        return count <= MaxRange
            ? new JinjaRange(start, stop, step, (int)count)
            : throw new JinjaException($"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MaxRange}).");
    }

    private static JinjaDict Dict(JinjaBoundCall call)
    {
        JinjaDict dict = new();
        call.Run.Allocate(0);
        foreach ((object key, object value) in Pairs(call, 0))
            dict.Items[key] = value;
        foreach ((string name, object value) in call.Rest.Named)
            dict.Items[JinjaText.Data(name)] = value;           // which ** may have taken from data
        return dict;
    }

    private static JinjaNamespace Namespace(JinjaBoundCall call)
    {
        JinjaNamespace space = new();
        call.Run.Allocate(0);
        foreach ((object key, object value) in Pairs(call, 0))
            space.Items[JinjaPrinter.ToText(call.Run, key).Text] = value;
        foreach ((string name, object value) in call.Rest.Named)
            space.Items[name] = value;
        return space;
    }

    // What dict() takes: a mapping, or pairs.
    private static IEnumerable<(object Key, object Value)> Pairs(JinjaBoundCall call, int index)
    {
        if (!call.Has(index)) yield break;
        if (call[index] is JinjaDict dict)
        {
            call.Run.Allocate(16L * dict.Items.Count);
            foreach ((object key, object value) in dict.Items)
                yield return (key, value);
            yield break;
        }

        foreach (object item in call.Items(index))
        {
            IReadOnlyList<object> pair = JinjaOperators.Iterate(call.Run, item);
            call.Run.Allocate(16);
            if (pair.Count != 2) throw new JinjaException("a dictionary is made of pairs");
            yield return (JinjaOperators.Key(pair[0]), pair[1]);
        }
    }

    private static JinjaFunction Joiner(JinjaBoundCall call)
    {
        object separator = call.Or(0, JinjaText.Template(", "));
        bool isFirst = true;
        return new JinjaFunction("joiner", "", _ =>
        {
            object text = isFirst ? JinjaText.Empty : separator;
            isFirst = false;
            return text;
        });
    }

    private static JinjaDict Cycler(JinjaBoundCall call)
    {
        object[] items = [.. call.Rest.Positional];
        if (items.Length == 0) throw new JinjaException("at least one item has to be provided");
        int next = 0;
        JinjaDict cycler = new();
        cycler.Items[JinjaText.Template("next")] = new JinjaFunction("next", "", _ => items[next++ % items.Length]);
        cycler.Items[JinjaText.Template("reset")] = new JinjaFunction("reset", "", _ =>
        {
            next = 0;
            return JinjaNone.Value;
        });
        return cycler;
    }

    // datetime.strftime in the C locale.
    private static string Time(DateTime now, string format)
    {
        string Shown(string pattern) => now.ToString(pattern, CultureInfo.InvariantCulture);
        StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            bool isPlain = format[i + 1] == '-' && i + 2 < format.Length;       // %-d: without a leading zero
            i += isPlain ? 2 : 1;
            string part = format[i] switch
            {
                'Y' => Shown("yyyy"),
                'y' => Shown("yy"),
                'm' => Shown("MM"),
                'd' => Shown("dd"),
                'e' => Shown("%d").PadLeft(2),
                'H' => Shown("HH"),
                'I' => Shown("hh"),
                'M' => Shown("mm"),
                'S' => Shown("ss"),
                'f' => Shown("ffffff"),
                'p' => now.Hour < 12 ? "AM" : "PM",
                'A' => Shown("dddd"),
                'a' => Shown("ddd"),
                'B' => Shown("MMMM"),
                'b' or 'h' => Shown("MMM"),
                'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
                'w' => ((int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
                'u' => (now.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
                'c' => $"{Shown("ddd MMM")} {Shown("%d"),2} {Shown("HH:mm:ss yyyy")}",
                'D' or 'x' => Shown("MM'/'dd'/'yy"),
                'F' => Shown("yyyy-MM-dd"),
                'T' or 'X' => Shown("HH:mm:ss"),
                'R' => Shown("HH:mm"),
                'n' => "\n",
                't' => "\t",
                'Z' or 'z' => "",                       // the clock names no zone
                '%' => "%",
                char other => $"%{other}",
            };
            text.Append(isPlain && part.Length > 1 ? part[..^1].TrimStart('0') + part[^1] : part);
        }

        return text.ToString();
    }
}
