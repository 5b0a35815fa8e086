using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Tests;

/// <summary>
/// An answer put together by lot from a thought, texts, calls in both ways of writing and markup that is none, with what must be read from
/// it, known from what it was put together of.
/// </summary>
/// <param name="Output">What the model writes.</param>
/// <param name="BeginsInThought">The prompt has opened the thought.</param>
/// <param name="Reasoning">The thought.</param>
/// <param name="Text">The text.</param>
/// <param name="Calls">The calls, each as its name and its arguments as JSON.</param>
internal sealed partial record ComposedAnswer(string Output, bool BeginsInThought, string Reasoning, string Text, string[] Calls)
{
    /// <summary>The tools of the calls: a parameter for each type.</summary>
    public const string Tools =
        """
        [{"type": "function", "function": {"name": "write_file", "parameters": {"type": "object", "properties": {
            "s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"},
            "o": {"type": "object"}, "a": {"type": ["array", "null"]}, "x": {} } } }}]
        """;

    private static readonly JsonSerializerOptions AsItIs = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Nothing in a text is a whole marker; all of them together make none.
    private static readonly string[] Words =
    [
        "I see. ", "a < b", "<", ">", "<tool", "<tool_cal", "</tool_call>", "<think>", "</thin", "<function=f>", "</parameter>", "\n", "\n\n\n", " ",
        "{\"name\": \"f\"}", "\U0001F98A", "日本", "\t", "<<", "x</",
    ];

    private static readonly string[] ThoughtWords =
    [
        .. Words, "<tool_call>\n<function=write_file>\n<parameter=s>\n1\n</parameter>\n</function>\n</tool_call>", "<tool_call>",
    ];

    private static readonly string[] ValueWords =
    [
        .. Words, "<tool_call>", "</function>", "<parameter=s>", "</think>", "\"", "\\", "null", "{\"a\": [1, {\"b\": \"</parameter>\"}]}", "\r\n", "</tool_call>\n",
        "</parameter", "public static void Main()\n{\n}\n",
    ];

    // Every one is text as a whole, whatever comes behind it.
    private static readonly string[] Broken =
    [
        "<tool_call></tool_call>", "<tool_call>\nno markup", "<tool_call>\n<function=>\n</function>\n</tool_call>",
        "<tool_call>\n<function=f>\nstray\n</function>\n</tool_call>", "<tool_call><function=f\n></function></tool_call>",
        "<tool_call>\n<function=f>\n<parameter=k>\n1\n</parameter>\n</function>\nstray\n</tool_call>", "<tool_call>\n<func>", "<tool_call>\n<tool_call>.",
        "<tool_call>\n<function=f>\n<parameter=<k>\n1\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": }\n</tool_call>", "<tool_call>\n{\"name\": 5, \"arguments\": {}}\n</tool_call>",
        "<tool_call>\n{\"name\": \"\", \"arguments\": {}}\n</tool_call>", "<tool_call>\n{\"name\": \"f\", \"arguments\": \"[1]\"}\n</tool_call>",
        "<tool_call>\n{\"name\": \"f\n\"}\n</tool_call>", "<tool_call>\n{\"name\": \"f\"} {}\n</tool_call>", "<tool_call>\n[{\"name\": \"f\"}]\n</tool_call>",
        "<tool_call>\n{\"name\": \"f\", </tool_call>", "<tool_call>\n{\"name\": \"f\", \"parameters\": {\"k\": 1}}\n</tool_call>",
        "<tool_call>\n<function=f></function></tool_call_>",
    ];

    // An answer may end within one.
    private static readonly string[] Unclosed =
    [
        "<", "<tool_call", "<tool_call>", "<tool_call>\n\n", "<tool_call>\n<funct", "<tool_call>\n<function=f", "<tool_call>\n<function=f>\n<parameter=k>\n1\n",
        "<tool_call>\n<function=f>\n<parameter=k>\n1\n</parameter>\n", "<tool_call>\n<function=f>\n<parameter=k>\n1\n</parameter>\n</function>\n",
        "<tool_call>\n<function=f>\n</function>\n</tool_call", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"k\": \"</tool_call>\n<",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"k\": 1}}\n</tool_call",
    ];

    private static readonly string[] Keys = ["s", "i", "n", "b", "o", "a", "x", "y"];

    // As text, and as JSON; null where it stays a string.
    private static readonly Dictionary<string, (string Text, string? Json)[]> Values = new()
    {
        ["i"] = [("0", "0"), (" -7 ", "-7"), ("123456789012345678901234567890", "123456789012345678901234567890"), ("1.5", null), ("five", null)],
        ["n"] = [("1", "1"), ("-0.10e5", "-0.10e5"), ("3.14159265358979323846264", "3.14159265358979323846264"), ("NaN", null), ("", null)],
        ["b"] = [("true", "true"), ("false", "false"), ("True", "true"), ("False", "false"), ("yes", null)],
        ["o"] = [("{}", "{}"), ("{\"a\": [1, 2.50],\n \"b\": {\"c\": \"</parameter> <\"}}", "{\"a\":[1,2.50],\"b\":{\"c\":\"</parameter> <\"}}"),
            ("[1]", null), ("{a: 1}", null), ("null", null)],
        ["a"] = [("[]", "[]"), ("[[1, \"<\"], null]", "[[1,\"<\"],null]"), ("null", "null"), ("None", "null"), ("{}", null)],
        ["x"] = [("17", "17"), ("{\"k\": [true]}", "{\"k\":[true]}"), ("null", "null"), ("\"q\"", null), ("True", null)],
        ["y"] = [("01", null), ("1e400", "1e400"), ("[1,]", null), ("hello\nworld", null), ("false", "false")],
    };

    /// <summary>What is read, on a few lines.</summary>
    public string Expected => Shown(Reasoning, Text, Calls);

    public static string Shown(string reasoning, string text, IEnumerable<string> calls) => $"[{reasoning}]\n[{text}]\n{string.Join('\n', calls)}";

    /// <summary>A call as its name and its arguments as JSON.</summary>
    public static string Shown(string name, JsonObject arguments) => $"{name} {arguments.ToJsonString(AsItIs)}";

    public static ComposedAnswer Of(int seed) => new Composer(seed).Compose();

    // What would end a value that holds it.
    [GeneratedRegex(@"</parameter>\s*(<parameter=|</function>)")]
    private static partial Regex EndOfValue();

    private sealed class Composer(int seed)
    {
        private readonly Random random = new(seed);
        private readonly StringBuilder output = new();
        private readonly StringBuilder text = new();
        private readonly List<string> calls = [];
        private string lineFeeds = "";
        private bool isBehindText;

        public ComposedAnswer Compose()
        {
            (bool inPrompt, string thought) = (Chance(2), "");
            if (inPrompt || Chance(2))
            {
                thought = Join(ThoughtWords, 0, 6).Trim('\n');
                output.Append(inPrompt ? "" : Pick("<think>", "<think>\n")).Append(thought).Append(Pick("</think>", "\n</think>\n\n", "\n\n\n</think>\n"));
            }

            bool written = false;
            for (int parts = random.Next(6); parts > 0; parts--)
            {
                if (Chance(2))
                    Call(written ? Pick("", "\n", "\n\n") : "");
                else
                    Write(Chance(2) ? $"{Pick(Broken)}." : $"A{Join(Words, 1, 5)}.");
                written = true;
            }

            if (Chance(3))
                Write($"B{Pick("", "\n", "\n\n\n\n")}{Pick(Unclosed)}");
            else if (Chance(3))
                Write("C\n\n\n");
            return new ComposedAnswer(output.ToString(), inPrompt, thought, text.ToString(), [.. calls]);
        }

        private void Write(string words)
        {
            output.Append(words);
            text.Append(lineFeeds).Append(words);
            (lineFeeds, isBehindText) = ("", true);
        }

        // Line feeds before a call count only if text follows after all, those behind it never.
        private void Call(string before)
        {
            output.Append(before);
            if (isBehindText)
                lineFeeds = before;
            isBehindText = false;

            JsonObject arguments = [];
            var markup = new StringBuilder();
            string name = Pick("write_file", "no such tool");
            foreach (string key in Keys.Where(_ => Chance(3)))
            {
                (string value, string? json) = key == "s" ? (FileText(), null) : Values[name == "write_file" ? key : Pick("x", "y")][random.Next(5)];
                arguments[key] = json is null ? value : JsonNode.Parse(json);
                bool isTight = Chance(4) && value.Trim('\n') == value;
                markup.Append(isTight ? $"<parameter={key}>{value}</parameter>" : $"<parameter={key}>\n{value}\n</parameter>\n");
            }

            calls.Add(Shown(name, arguments));
            string blank = Pick("\n", "\n", "", " \n\n");
            if (Chance(3))
            {
                string given = arguments.ToJsonString(AsItIs);
                given = Chance(4) ? JsonValue.Create(given).ToJsonString(AsItIs) : given;
                string[] members = [$"\"name\": \"{name}\"", $"\"arguments\":\n{given}"];
                output.Append($"<tool_call>{blank}{{{string.Join(", ", Chance(4) ? members.Reverse() : members)}}}{blank}</tool_call>");
            }
            else
            {
                output.Append($"<tool_call>{blank}<function={name}>{blank}{markup}</function>{blank}</tool_call>");
            }

            output.Append(Pick("", "\n", "\n\n\n", " \t\n"));
        }

        private string FileText()
        {
            string value;
            do
                value = Join(ValueWords, 0, 9) + Pick("", "", "</parameter>", "<");
            while (EndOfValue().IsMatch(value));
            return value;
        }

        private string Join(string[] words, int least, int most) => string.Concat(Enumerable.Range(0, random.Next(least, most)).Select(_ => Pick(words)));

        private string Pick(params string[] words) => words[random.Next(words.Length)];

        private bool Chance(int of) => random.Next(of) == 0;
    }
}
