using System.Text.Json;
using static QwenIlgpu.Tests.JinjaData;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class JinjaTemplateTests
{
    [Test]
    public void DoesWhatJinja2Does() => Assert.Multiple(() =>
    {
        foreach (JsonElement test in Cases.EnumerateArray())
            AssertResult(test.GetProperty("template").GetString()!, test.GetProperty("context"), test, $"{test.GetProperty("name")}");
        Assert.That(Cases.GetArrayLength(), Is.EqualTo(695));
    });

    [Test]
    public void RendersConversationsAsJinja2Does() => Assert.Multiple(() =>
    {
        int count = 0;
        foreach (JsonProperty results in Chats.GetProperty("results").EnumerateObject())
        {
            JsonElement.ArrayEnumerator conversations = Chats.GetProperty("conversations").EnumerateArray();
            foreach ((JsonElement conversation, JsonElement result) in conversations.Zip(results.Value.EnumerateArray()))
            {
                string name = $"{results.Name}, {conversation.GetProperty("name")}";
                AssertResult(ChatTemplate(results.Name), conversation.GetProperty("context"), result, name);
                count++;
            }
        }

        Assert.That(count, Is.EqualTo(150));
    });

    // Another template that behaves as Qwen3.6's, against the official one's renderings, and the built-in one's ids.
    [Test]
    public void RendersEveryGoldenConversationOfQwen36()
    {
        JinjaTemplate template = JinjaTemplate.Parse(ChatTemplate("thinking_xml"));
        ChatTemplate builtIn = QwenIlgpu.ChatTemplate.Load(Model);
        Assert.Multiple(() =>
        {
            foreach (JsonElement golden in Golden("chat_template"))
            {
                string name = $"{golden.GetProperty("name")}, {golden.GetProperty("options")}";
                Dictionary<string, object> variables = Variables(golden.GetProperty("options"));
                variables["messages"] = JinjaJson.ToValue(golden.GetProperty("messages"));
                if (!golden.TryGetProperty("rendered", out JsonElement rendered))
                {
                    Assert.That(() => template.Render(variables, Now), Throws.TypeOf<JinjaException>(), name);
                    continue;
                }

                RenderedPrompt prompt = template.Render(variables, Now).ToPrompt();
                Assert.That(prompt.Text, Is.EqualTo(rendered.GetString()), name);
                RenderedPrompt expected = builtIn.Render(golden.GetProperty("messages"), golden.GetProperty("options"));
                Assert.That(Tokenizer.Encode(prompt), Is.EqualTo(Tokenizer.Encode(expected)), name);
            }
        });
    }

    [TestCase("a\n{{ x.y.z }}", 2, 7, "'dict object' has no attribute 'y'")]
    [TestCase("a\n\n  {% if 1 %}\n{{ raise_exception('No, ' ~ 'never:\n1') }}{% endif %}", 4, 19, "No, never:\n1")]
    [TestCase("{% for i in [1] %}\n{{ 1 + i ~ 'a' }}\n{% endfor %}", 2, 6, "unsupported operand type(s) for +: 'int' and 'str'")]
    [TestCase("\r\n\r\n{% nope %}", 3, 4, "Encountered unknown tag 'nope'.")]
    [TestCase("é🦊{{ 'a' | nope }}", 1, 13, "No filter named 'nope'.")]
    [TestCase("{% if x %}\n", 1, 4, "Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. "
        + "The innermost block that needs to be closed is 'if'.")]
    public void NamesThePlaceOfAnError(string template, int line, int column, string words)
    {
        JinjaException error = Assert.Throws<JinjaException>(() => Render(template, """{"x": {}}"""))!;

        Assert.That(error.Words, Is.EqualTo(words));
        Assert.That(error.At, Is.EqualTo(new JinjaPosition(line, column)));
        Assert.That(error.Message, Is.EqualTo($"line {line}, column {column}: {words}"));
        Assert.That(error.IsRaised, Is.EqualTo(template.Contains("raise_exception", StringComparison.Ordinal)));
    }

    [Test]
    public void RendersOnSeveralThreadsAtOnce()
    {
        JinjaTemplate template = JinjaTemplate.Parse(ChatTemplate("thinking_effort"));
        JsonElement[] contexts = [.. Chats.GetProperty("conversations").EnumerateArray().Select(c => c.GetProperty("context"))];
        string Rendered(JsonElement context)
        {
            try
            {
                return template.Render(Variables(context), Now).Text;
            }
            catch (JinjaException error)
            {
                return error.Message;
            }
        }

        string[] expected = [.. contexts.Select(Rendered)];
        string[] actual = new string[contexts.Length * 8];
        ParallelOptions four = new() { MaxDegreeOfParallelism = 4 };
        Parallel.For(0, actual.Length, four, i => actual[i] = Rendered(contexts[i % contexts.Length]));

        for (int i = 0; i < actual.Length; i++)
            Assert.That(actual[i], Is.EqualTo(expected[i % contexts.Length]));
    }

    [TestCase("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps")]
    [TestCase("{% set n = namespace(s='ab') %}{% for i in range(64) %}{% set n.s = n.s ~ n.s %}{% endfor %}", "characters")]
    [TestCase("{{ 'x' * 10000000000 }}", "steps")]
    [TestCase("{{ 'x'|center(2000000000) }}", "characters")]
    [TestCase("{{ '%99999999d' % 1 }}", "width")]
    [TestCase("{{ 'abc'|indent(2000000000, true) }}", "characters")]
    [TestCase("{{ 9 ** 99999999 }}", "digits")]
    [TestCase("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "nested")]
    [TestCase("{% set n = namespace(l=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}", "nested")]
    [TestCase("{% set n = namespace(l=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l|tojson }}", "nested")]
    [TestCase("{% set n = namespace(l=[1]) %}{% for i in range(40) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}", "steps|characters")]
    [TestCase("{% set n = namespace(l=[1], m=[1]) %}{% for i in range(40) %}{% set n.l = [n.l, n.l] %}{% set n.m = [n.m, n.m] %}{% endfor %}"
        + "{{ n.l == n.m }}", "steps")]
    [TestCase("{% set n = namespace(l=(1,)) %}{% for i in range(9999) %}{% set n.l = (n.l,) %}{% endfor %}{{ {n.l: 1} }}", "nested")]
    [TestCase("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", "nested")]
    [TestCase("{% set n = namespace() %}{% set n.me = [n] %}{{ n.me }}{{ n.me == n.me }}{{ 'aa'.replace('', 'b' * 99999) * 30 }}", "characters")]
    public void GivesUpOnWhatNeverEnds(string template, string words)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();

        JinjaException error = Assert.Throws<JinjaException>(() => Render(template))!;

        Assert.That(error.Words, Does.Match(words));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64L << 20));
    }

    [TestCase("(", ")")]
    [TestCase("[", "]")]
    [TestCase("-", "")]
    [TestCase("not ", "")]
    [TestCase("{1:", "}")]
    [TestCase("a[", "]")]
    [TestCase("a(", ")")]
    [TestCase("1 is eq(", ")")]
    [TestCase("1 if 1 else ", "")]
    [TestCase("{% if 1 %}", "{% endif %}")]
    [TestCase("{% macro a() %}", "{% endmacro %}")]
    public void RefusesNestingThatNoStackHolds(string open, string close)
    {
        string nested = string.Concat(Enumerable.Repeat(open, 20_000)) + "1" + string.Concat(Enumerable.Repeat(close, 20_000));

        Assert.That(
            () => JinjaTemplate.Parse(open.StartsWith("{%", StringComparison.Ordinal) ? nested : $"{{{{ {nested} }}}}"),
            Throws.TypeOf<JinjaException>().With.Message.Contains("nested too deeply"));
    }

    [TestCase("1", " + 1")]
    [TestCase("1", " if 1")]
    [TestCase("1", " and 1")]
    [TestCase("'a'", "|trim")]
    [TestCase("a", "[0]")]
    public void RefusesChainsThatNoStackHolds(string first, string next)
    {
        string template = $"{{{{ {first}{string.Concat(Enumerable.Repeat(next, 50_000))} }}}}";
        JinjaException? error = null;
        Thread thread = new(() => error = ErrorOf(template), maxStackSize: 1 << 20);

        thread.Start();
        thread.Join();

        Assert.That(error?.Words, Does.Contain("nested too deeply"));
    }

    [Test]
    public void TakesALongConversation()
    {
        // A million characters in two thousand turns.
        object[] messages = [.. Enumerable.Range(0, 2000).Select(i => (object)JinjaJson.ToValue(Json(
            $$"""{"role": "{{(i % 2 == 0 ? "user" : "assistant")}}", "content": "{{new string('x', 500)}}</think>y"}""")))];
        Dictionary<string, object> variables = new() { ["messages"] = new JinjaList(messages), ["add_generation_prompt"] = true };

        JinjaText text = JinjaTemplate.Parse(ChatTemplate("thinking_xml")).Render(variables, Now);

        Assert.That(text.Text, Has.Length.GreaterThan(500_000).And.EndsWith("<|im_start|>assistant\n<think>\n"));
    }

    private static JinjaException? ErrorOf(string template)
    {
        try
        {
            Render(template, """{"a": "0"}""");
            return null;
        }
        catch (JinjaException error)
        {
            return error;
        }
    }

    private static void AssertResult(string template, JsonElement context, JsonElement result, string name)
    {
        if (!result.TryGetProperty("error", out JsonElement error))
        {
            string expected = result.ValueKind == JsonValueKind.String ? result.GetString()!
                : (result.TryGetProperty("expected", out JsonElement text) ? text : result.GetProperty("rendered")).GetString()!;
            Assert.That(JinjaTemplate.Parse(template).Render(Variables(context), Now).Text, Is.EqualTo(expected), name);
            return;
        }

        JinjaException thrown = Assert.Throws<JinjaException>(() => JinjaTemplate.Parse(template).Render(Variables(context), Now), name)!;
        bool isRaised = error.GetProperty("kind").GetString() == "raised";
        Assert.That(thrown?.IsRaised, Is.EqualTo(isRaised), name);
        if (isRaised) Assert.That(thrown?.Words, Is.EqualTo(error.GetProperty("message").GetString()), name);
    }
}
