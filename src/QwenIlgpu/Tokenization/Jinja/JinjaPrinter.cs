using System.Globalization;
using System.Text;

namespace QwenIlgpu;

/// <summary>Values as texts: str, repr and json.dumps. Only characters of strings that the template wrote are the template's.</summary>
internal static class JinjaPrinter
{
    /// <summary>str(value).</summary>
    public static JinjaText ToText(JinjaRun run, object value)
    {
        if (value is JinjaText text) return text;
        if (value is JinjaUndefined) return JinjaText.Empty;
        JinjaWriter writer = new(run);
        Repr(run, writer, value);
        return writer.ToText();
    }

    /// <summary>repr(value).</summary>
    public static JinjaText Repr(JinjaRun run, object value)
    {
        JinjaWriter writer = new(run);
        Repr(run, writer, value);
        return writer.ToText();
    }

    /// <summary>json.dumps.</summary>
    public static JinjaText ToJson(JinjaRun run, object value, JinjaJsonStyle style)
    {
        JinjaWriter writer = new(run);
        Json(run, writer, value, style, "\n");
        return writer.ToText();
    }

    private static void Repr(JinjaRun run, JinjaWriter writer, object value)
    {
        run.Step();
        switch (value)
        {
            case JinjaText text:
                string quote = text.Text.Contains('\'') && !text.Text.Contains('"') ? "\"" : "'";
                writer.Data(quote);
                Escape(run, writer, text, rune => rune.Value == quote[0] || rune.Value == '\\' ? $"\\{rune}" : PythonText.ReprEscape(rune));
                writer.Data(quote);
                break;
            case JinjaList list:
                Sequence(run, writer, list.IsTuple ? "(" : "[", list.Items, list.IsTuple ? list.Items.Count == 1 ? ",)" : ")" : "]");
                break;
            case JinjaDict dict:
                run.Enter();
                string separator = "{";
                foreach ((object key, object item) in dict.Items)
                {
                    writer.Data(separator);
                    Repr(run, writer, key);
                    writer.Data(": ");
                    Repr(run, writer, item);
                    separator = ", ";
                }

                writer.Data(dict.Items.Count == 0 ? "{}" : "}");
                run.Leave();
                break;
            case JinjaView { IsGenerator: false } view:
                writer.Data(view.Type);
                Sequence(run, writer, "([", view.Take(), "])");
                break;
            case JinjaNone or bool:
                writer.Data(value is bool flag ? flag ? "True" : "False" : "None");
                break;
            case JinjaUndefined:
                writer.Data("Undefined");
                break;
            case JinjaRange range:
                string step = range.Step == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $", {range.Step}");
                writer.Data(string.Create(CultureInfo.InvariantCulture, $"range({range.Start}, {range.Stop}{step})"));
                break;
            case JinjaMacro macro:
                writer.Data("<Macro ").Add(Repr(run, JinjaText.Template(macro.Name))).Data(">");
                break;
            default:
                writer.Data(JinjaNumbers.IsNumber(value) ? JinjaNumbers.ToText(value) : $"<{JinjaOperators.TypeName(value)} object>");
                break;
        }
    }

    private static void Sequence(JinjaRun run, JinjaWriter writer, string open, IReadOnlyList<object> items, string close)
    {
        run.Enter();
        writer.Data(open);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0) writer.Data(", ");
            Repr(run, writer, items[i]);
        }

        writer.Data(close);
        run.Leave();
    }

    private static void Json(JinjaRun run, JinjaWriter writer, object value, JinjaJsonStyle style, string lineStart)
    {
        run.Step();
        switch (value)
        {
            case JinjaText text:
                JsonString(run, writer, text, style);
                break;
            case JinjaList list:
                run.Enter();
                JsonItems(writer, "[", list.Items, "]", style, lineStart, (item, inner) => Json(run, writer, item, style, inner));
                run.Leave();
                break;
            case JinjaDict dict:
                run.Enter();
                IReadOnlyList<KeyValuePair<object, object>> items = [.. dict.Items];
                if (style.SortKeys) items = JinjaOperators.Sorted(run, items, static pair => pair.Key);
                JsonItems(writer, "{", items, "}", style, lineStart, (item, inner) =>
                {
                    JsonString(run, writer, JsonKey(item.Key), style);
                    writer.Add(style.KeySeparator);
                    Json(run, writer, item.Value, style, inner);
                });
                run.Leave();
                break;
            case JinjaNone or bool:
                writer.Data(value is bool flag ? flag ? "true" : "false" : "null");
                break;
            default:
                writer.Data(JinjaNumbers.IsNumber(value)
                    ? JinjaNumbers.ToText(value, json: true)
                    : throw new JinjaException($"Object of type {JinjaOperators.TypeName(value)} is not JSON serializable"));
                break;
        }
    }

    private static void JsonItems<T>(
        JinjaWriter writer,
        string open,
        IReadOnlyList<T> items,
        string close,
        JinjaJsonStyle style,
        string lineStart,
        Action<T, string> write)
    {
        writer.Data(open);
        string inner = lineStart + style.Indent;
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0) writer.Add(style.ItemSeparator);
            if (style.Indent is not null) writer.Data(inner);
            write(items[i], inner);
        }

        if (style.Indent is not null && items.Count > 0) writer.Data(lineStart);
        writer.Data(close);
    }

    private static JinjaText JsonKey(object key) => key switch
    {
        JinjaText text => text,
        JinjaNone or bool => JinjaText.Data(key is bool flag ? flag ? "true" : "false" : "null"),
        _ when JinjaNumbers.IsNumber(key) => JinjaText.Data(JinjaNumbers.ToText(key, json: true)),
        _ => throw new JinjaException($"keys must be str, int, float, bool or None, not {JinjaOperators.TypeName(key)}"),
    };

    private static void JsonString(JinjaRun run, JinjaWriter writer, JinjaText text, JinjaJsonStyle style)
    {
        writer.Data("\"");
        Escape(run, writer, text, rune => JsonEscape(rune, style.EnsureAscii));
        writer.Data("\"");
    }

    private static string? JsonEscape(Rune rune, bool ensureAscii) => rune.Value switch
    {
        '"' or '\\' => $"\\{rune}",
        > 0x7F when ensureAscii => string.Concat(rune.ToString().Select(static unit => $"\\u{(int)unit:x4}")),
        _ => PythonText.JsonEscape(rune),
    };

    // Each escape is of its character's origin.
    private static void Escape(JinjaRun run, JinjaWriter writer, JinjaText text, Func<Rune, string?> escape)
    {
        run.Step(text.Text.Length / 16);
        foreach ((TextRange units, bool isTemplate) in text.Runs())
        {
            int start = units.Start;
            for (int i = units.Start; i < units.End;)
            {
                // A pair of two origins, which no template has reason to write, counts as two halves.
                _ = Rune.DecodeFromUtf16(text.Text.AsSpan(i, units.End - i), out Rune rune, out int length);
                if (escape(rune) is { } escaped)
                {
                    writer.Add(text, start, i).Add(escaped, isTemplate);
                    start = i + length;
                }

                i += length;
            }

            writer.Add(text, start, units.End);
        }
    }
}

/// <summary>How json.dumps lays out its text.</summary>
internal sealed record JinjaJsonStyle(
    string? Indent, JinjaText ItemSeparator, JinjaText KeySeparator, bool SortKeys, bool EnsureAscii);
