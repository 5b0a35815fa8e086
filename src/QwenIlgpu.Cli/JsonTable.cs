using System.Globalization;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>
/// Shows a report, the same that --json prints, to people: names on the left, values on the right, lists of objects as columns.
/// </summary>
internal static class JsonTable
{
    public static void Write(TextWriter writer, JsonObject report) => Write(writer, report, "");

    private static void Write(TextWriter writer, JsonObject report, string indent)
    {
        int width = report.Count == 0 ? 0 : report.Max(p => p.Key.Length);
        foreach ((string name, JsonNode? value) in report)
        {
            if (value is JsonObject section)
            {
                writer.WriteLine($"{indent}{Words(name)}");
                Write(writer, section, indent + "  ");
            }
            else if (value is JsonArray { Count: > 0 } rows && rows.All(r => r is JsonObject))
            {
                writer.WriteLine($"{indent}{Words(name)}");
                WriteRows(writer, [.. rows.Select(r => (JsonObject)r!)], indent + "  ");
            }
            else
            {
                writer.WriteLine($"{indent}{Words(name).PadRight(width)}  {Text(name, value)}".TrimEnd());
            }
        }
    }

    private static void WriteRows(TextWriter writer, JsonObject[] rows, string indent)
    {
        string[] names = [.. rows.SelectMany(r => r.Select(p => p.Key)).Distinct()];
        int[] widths = [.. names.Select(n => Math.Max(n.Length, rows.Max(r => Text(n, r[n]).Length)))];
        writer.WriteLine(indent + string.Join("  ", names.Select((n, i) => Words(n).PadRight(widths[i]))).TrimEnd());
        foreach (JsonObject row in rows)
            writer.WriteLine(indent + string.Join("  ", names.Select((n, i) => Text(n, row[n]).PadRight(widths[i]))).TrimEnd());
    }

    private static string Words(string name) => name.Replace('_', ' ');

    private static string Text(string name, JsonNode? value) => value switch
    {
        null => "-",
        JsonArray array => $"[{string.Join(", ", array.Select(v => Text("", v)))}]",
        JsonValue v when v.TryGetValue(out bool truth) => truth ? "yes" : "no",
        JsonValue v when v.TryGetValue(out string? text) => text,
        JsonValue v when v.TryGetValue(out int number) => Number(name, number),
        JsonValue v when v.TryGetValue(out long number) => Number(name, number),
        JsonValue v when v.TryGetValue(out double number) =>
            number.ToString(double.IsInteger(number) ? "N0" : "N2", CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    // Sizes and counts are read by the thousand; ids and shapes, which come in lists, are not.
    private static string Number(string name, long number) => number.ToString(name.Length > 0 ? "N0" : "D", CultureInfo.InvariantCulture);
}
