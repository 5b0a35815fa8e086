using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Thoughts, text and calls told apart, wherever the answer is cut.</summary>
internal sealed class AnswerParserTests
{
    private static readonly ToolSchemas Tools = ToolSchemas.Of(JsonNode.Parse(ComposedAnswer.Tools)!.AsArray());

    private const string Call = "<tool_call>\n<function=f>\n<parameter=k>\n1\n</parameter>\n</function>\n</tool_call>";

    [TestCase("Yes.", "[]\n[Yes.]\n")]
    [TestCase("<think>\nhm\n</think>\n\nYes.", "[hm]\n[Yes.]\n")]
    [TestCase("\n <think>hm</think>Yes.", "[hm]\n[\n Yes.]\n")]
    [TestCase("Write <think> and </think>.", "[]\n[Write <think> and </think>.]\n")]
    [TestCase("<think>\n" + Call + "\n</think>", "[" + Call + "]\n[]\n")]
    [TestCase("<think>\nhm\n\n", "[hm\n\n]\n[]\n")]
    [TestCase("<think>\nhm\n</thi", "[hm\n</thi]\n[]\n")]
    [TestCase("<think>a</think>b</think>c", "[a]\n[b</think>c]\n")]
    [TestCase(Call, "[]\n[]\nf {\"k\":1}")]
    [TestCase("I look.\n\n" + Call + "\n" + Call, "[]\n[I look.]\nf {\"k\":1}\nf {\"k\":1}")]
    [TestCase("I look.\n\n\n" + Call + "\n", "[]\n[I look.\n]\nf {\"k\":1}")]
    [TestCase("a\n\n" + Call + "\n\nb", "[]\n[a\n\nb]\nf {\"k\":1}")]
    [TestCase("<tool_call>{\"name\": \"f\"}</tool_call>", "[]\n[]\nf {}")]
    [TestCase("<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "[]\n[]\nf {}")]
    [TestCase("<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"k\\\": 1}\"}</tool_call>", "[]\n[]\nf {\"k\":1}")]
    [TestCase(
        """<tool_call>{"name": "write_file", "arguments": {"i": "7", "s": 7, "x": "7"}}</tool_call>""",
        "[]\n[]\nwrite_file {\"i\":7,\"s\":7,\"x\":\"7\"}")]
    [TestCase("<tool_call>{\"name\": \"f\", \"\\ud800\": 1}</tool_call>", "[]\n[<tool_call>{\"name\": \"f\", \"\\ud800\": 1}</tool_call>]\n")]
    [TestCase("<tool_call><function=f></function></tool_call>", "[]\n[]\nf {}")]
    [TestCase("<tool_call><function=f><parameter=k>1</parameter><parameter=k>2</parameter></function></tool_call>", "[]\n[]\nf {\"k\":2}")]
    [TestCase("<tool_call><function=f><parameter=k>\n\n1\n\n</parameter></function></tool_call>", "[]\n[]\nf {\"k\":1}")]
    [TestCase("<tool_call><function=write_file><parameter=s>\n\n1\n\n</parameter></function></tool_call>", "[]\n[]\nwrite_file {\"s\":\"\\n1\\n\"}")]
    [TestCase("<tool_call><function=f><parameter=k></parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"\"}")]
    [TestCase("<tool_call><function=f><parameter=k>\n</parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"\"}")]
    [TestCase("<tool_call><function=f><parameter=k>{\"\\ud800\": 1}</parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"{\\\"\\\\ud800\\\": 1}\"}")]
    [TestCase("<tool_call><function=f><parameter=k>a</parameter>\n</parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"a</parameter>\"}")]
    [TestCase("<tool_call><function=f><parameter=k>a</parameter> b </</parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"a</parameter> b </\"}")]
    [TestCase("<tool_call><function=f><parameter=k>a</parameter><</parameter></function></tool_call>", "[]\n[]\nf {\"k\":\"a</parameter><\"}")]
    [TestCase("<tool_call>\n<tool_call><function=f></function></tool_call>", "[]\n[<tool_call>]\nf {}")]
    [TestCase("<tool_call><function=f><parameter=k>1</function></tool_call>", "[]\n[<tool_call><function=f><parameter=k>1</function></tool_call>]\n")]
    public void TellsThoughtsTextAndCallsApart(string output, string expected) =>
        Assert.That(Read(new AnswerParser(ThinkMarkers.Qwen, insideThought: false, Tools), [output]), Is.EqualTo(expected));

    [Test]
    public void WithoutToolsCallsAreText() =>
        Assert.That(Read(new AnswerParser(ThinkMarkers.Qwen, false, null), ["a\n\n", Call, "\n"]), Is.EqualTo($"[]\n[a\n\n{Call}\n]\n"));

    [Test]
    public void WithoutMarkersThoughtsAreText() =>
        Assert.That(Read(new AnswerParser(null, false, Tools), ["<think>a</think>"]), Is.EqualTo("[]\n[<think>a</think>]\n"));

    // Within "[[think" a second "[" begins it anew.
    [Test]
    public void MarkersMayBeginWithinThemselves() => Assert.That(
        Read(new AnswerParser(new ThinkMarkers("[[think", "]]]x"), false, Tools), [.. "[[thinka]]]]xb".Select(c => $"{c}")]), Is.EqualTo("[a]]\n[b]\n"));

    [Test]
    public void TextThatCannotBeAMarkerIsThereAtOnce()
    {
        var parser = new AnswerParser(ThinkMarkers.Qwen, true, Tools);

        string[] given = ["\n", "a\n", "\nb</th", "in</think", ">\n", "c\n", "\n\n<tool", "s<"];

        string[] final = [.. given.Select(piece => string.Concat(parser.Add(piece).Select(p => $"{p.Kind}:{p.Text}")))];

        Assert.That(
            final,
            Is.EqualTo(new[] { "", "Reasoning:a", "Reasoning:\n\nb", "Reasoning:</thin", "", "Answer:c", "Answer:\n", "Answer:\n\n<tools" }));
        Assert.That(string.Concat(parser.Complete().Select(p => p.Text)), Is.EqualTo("<"));
    }

    [Test]
    public void IdsAreUniqueAndOfOneShape()
    {
        string[] ids = [.. Enumerable.Range(0, 50).SelectMany(_ => Calls(Call + Call)).Select(call => call.Id!)];

        Assert.That(ids, Has.Length.EqualTo(100).And.Unique.And.All.Matches("^call_[0-9A-Za-z]{24}$"));
    }

    [Test]
    public void IdsMayBeGiven()
    {
        int count = 0;
        var parser = new AnswerParser(null, false, Tools, () => $"call {++count}");
        parser.Add(Call + Call);

        Assert.That(parser.Calls.Select(call => call.Id), Is.EqualTo(new[] { "call 1", "call 2" }));
    }

    [TestCase(40, 1_000)]
    [TestCase(200, 100_000, Category = "Exhaustive")]
    public void ReadsTheSameWhereverItIsCut(int answers, int chunkings)
    {
        ComposedAnswer[] composed = [.. Enumerable.Range(0, answers).Select(ComposedAnswer.Of)];
        Assert.That(composed.Sum(a => a.Calls.Length), Is.GreaterThan(answers / 2));
        foreach (ComposedAnswer answer in composed)
        {
            for (int cut = 0; cut <= answer.Output.Length; cut++)
                Check(answer, [answer.Output[..cut], answer.Output[cut..]], $"cut at {cut}");
        }

        var random = new Random(7);
        for (int i = 0; i < chunkings; i++)
        {
            ComposedAnswer answer = composed[i % answers];
            Check(answer, [.. Chunks(answer.Output, random)], $"chunking {i}");
        }
    }

    // Nothing is shown too early: what has come of each kind is always the beginning of what comes of it.
    [Test]
    public void ShowsNothingThatIsTakenBack([Range(0, 19)] int seed)
    {
        ComposedAnswer answer = ComposedAnswer.Of(seed);
        var parser = new AnswerParser(ThinkMarkers.Qwen, answer.BeginsInThought, Tools);
        var texts = new Dictionary<TextKind, string> { [TextKind.Reasoning] = "", [TextKind.Answer] = "" };
        foreach (char c in answer.Output)
        {
            foreach (AnswerPiece piece in parser.Add([c]))
                texts[piece.Kind] += piece.Text;
            Assert.That(answer.Reasoning, Does.StartWith(texts[TextKind.Reasoning]));
            Assert.That(answer.Text, Does.StartWith(texts[TextKind.Answer]));
        }
    }

    // Of bits of markup in any order.
    [TestCase(3_000)]
    [TestCase(100_000, Category = "Exhaustive")]
    public void LosesNothingOfMarkupInAnyOrder(int outputs)
    {
        string[] bits =
        [
            "<tool_call>", "</tool_call>", "<tool_call><function=f>", "</function></tool_call>", "<parameter=k>", "</parameter>", "<", "\n", " ", "x", ">",
            "<tool_call>{\"name\": \"f\"", ", \"arguments\": {", "}</tool_call>", "}", "\"", "\\",
        ];
        var random = new Random(11);
        int calls = 0;
        for (int i = 0; i < outputs; i++)
        {
            string output = string.Concat(Enumerable.Range(0, random.Next(1, 24)).Select(_ => bits[random.Next(bits.Length)]));
            var parser = new AnswerParser(ThinkMarkers.Qwen, false, Tools);
            string whole = Read(parser, [output]);

            Assert.That(Read(new AnswerParser(ThinkMarkers.Qwen, false, Tools), Chunks(output, random)), Is.EqualTo(whole), output);
            if (parser.Calls.Count == 0)
                Assert.That(whole, Is.EqualTo($"[]\n[{output}]\n"));
            calls += parser.Calls.Count;
        }

        Assert.That(calls, Is.GreaterThan(outputs / 200));
    }

    // A hundredth of a second is usual; a quadratic step anywhere would take hours.
    [TestCase("<tool_call>")]
    [TestCase("<tool_call><function=f><parameter=k>")]
    [TestCase("<tool_call><function=f><parameter=k></parameter>")]
    [TestCase("<tool_call>{\"name\": \"f\", ")]
    [TestCase("</parameter>\n")]
    [TestCase("\n")]
    [TestCase("<tool_cal")]
    public void AMegabyteOfOneThingTakesLinearTime(string unit)
    {
        Stopwatch watch = Stopwatch.StartNew();
        foreach (string before in new[] { "", "<think>", "a<tool_call><function=f>\n<parameter=k>\n" })
        {
            string output = before + string.Concat(Enumerable.Repeat(unit, (1 << 20) / unit.Length));
            Read(new AnswerParser(ThinkMarkers.Qwen, false, Tools), output.Chunk(4).Select(chunk => new string(chunk)));
        }

        TestContext.Out.WriteLine($"{watch.Elapsed.TotalSeconds:F2} s");
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)));
    }

    private static IReadOnlyList<PromptToolCall> Calls(string output)
    {
        var parser = new AnswerParser(ThinkMarkers.Qwen, false, Tools);
        parser.Add(output);
        parser.Complete();
        return parser.Calls;
    }

    private static void Check(ComposedAnswer answer, IEnumerable<string> pieces, string how)
    {
        string read = Read(new AnswerParser(ThinkMarkers.Qwen, answer.BeginsInThought, Tools, static () => "id"), pieces);
        if (read != answer.Expected)
            Assert.That(read, Is.EqualTo(answer.Expected), $"{how}:\n{answer.Output}");
    }

    private static IEnumerable<string> Chunks(string text, Random random)
    {
        int most = random.Next(1, 12);
        for (int at = 0, length; at < text.Length; at += length)
        {
            length = Math.Min(random.Next(1, most + 1), text.Length - at);
            yield return text.Substring(at, length);
        }
    }

    private static string Read(AnswerParser parser, IEnumerable<string> pieces)
    {
        var reasoning = new StringBuilder();
        var text = new StringBuilder();
        void Keep(IReadOnlyList<AnswerPiece> final)
        {
            foreach (AnswerPiece piece in final)
                (piece.Kind == TextKind.Reasoning ? reasoning : text).Append(piece.Text);
        }

        foreach (string piece in pieces)
            Keep(parser.Add(piece));
        Keep(parser.Complete());
        return ComposedAnswer.Shown($"{reasoning}", $"{text}", parser.Calls.Select(call => ComposedAnswer.Shown(call.Name, call.Arguments)));
    }
}
