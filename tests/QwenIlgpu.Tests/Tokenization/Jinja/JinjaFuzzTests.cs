using System.Diagnostics;
using System.Text.Json;
using static QwenIlgpu.Tests.JinjaData;

namespace QwenIlgpu.Tests;

/// <summary>Damaged templates end in a text or in the one error, soon and at little cost.</summary>
internal sealed class JinjaFuzzTests
{
    private const string Words =
        "{{|}}|{%|%}|{#|#}|-%}|{%-| if | else | endif | for | in | endfor | set | macro | endmacro | call | not | is | and | or |loop"
        + "|recursive|break|continue|(|)|[|]|{|}|,|.|:|=|==|+|-|*|**|/|//|%|~|'|\"|\\|\n|0|1|-1|99999|1e308|none|true|messages|range(99999)"
        + "|namespace()|list|join|tojson|replace|items|map|sort|length|string|.split|.format|.replace|.strip|🦊|\u0000|\ud800|raw|endraw|with|filter";

    private static readonly TimeSpan limit = TimeSpan.FromMilliseconds(100);

    [TestCase(300, false)]
    [TestCase(10_000, true, Category = "Exhaustive")]
    public void SurvivesDamagedTemplates(int count, bool isTimed)
    {
        string[] words = [.. Words.Split('|'), "|", "||"];
        IEnumerable<string> chats = Chats.GetProperty("templates").EnumerateObject().Select(static template => template.Value.GetString()!);
        IEnumerable<string> cases = Cases.EnumerateArray().Select(static test => test.GetProperty("template").GetString()!);
        string[] templates = [.. chats, .. cases.Where(static text => text.Length > 40)];
        IEnumerable<JsonElement> all = Chats.GetProperty("conversations").EnumerateArray().Concat(Cases.EnumerateArray());
        JsonElement[] contexts =
        [
            .. all.Select(static test => test.GetProperty("context")).Where(static context => context.GetRawText().Length > 100),
        ];
        int rendered = 0;
        long most = 0;
        TimeSpan longest = TimeSpan.Zero;
        for (int seed = 0; seed < count; seed++)
        {
            Random random = new(seed);
            string template = Damage(random, templates[random.Next(random.Next(2) == 0 ? 5 : templates.Length)], words);
            Dictionary<string, object> variables = Variables(contexts[random.Next(contexts.Length)]);
            TimeSpan took = TimeSpan.MaxValue;
            for (int attempt = 0; attempt < 3 && took > limit; attempt++)      // others may have had the processor
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                Stopwatch watch = Stopwatch.StartNew();
                bool isRendered = Renders(template, variables, seed);
                took = watch.Elapsed;
                long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                most = Math.Max(most, allocated);
                if (attempt == 0 && isRendered) rendered++;
                if (allocated > 64L << 20) Assert.Fail($"seed {seed}: {allocated} bytes\n{template}");
            }

            if (took > longest) longest = took;
            if (isTimed && took > limit) Assert.Fail($"seed {seed}: {took}\n{template}");
        }

        TestContext.Out.WriteLine($"{rendered} of {count} rendered; at most {most / 1024} KiB and {longest.TotalMilliseconds:F1} ms");
        Assert.That(rendered, Is.InRange(count / 20, count * 9 / 10), "damage that is neither harmless nor always met at once");
    }

    private static bool Renders(string template, Dictionary<string, object> variables, int seed)
    {
        try
        {
            JinjaTemplate.Parse(template).Render(variables, Now);
            return true;
        }
        catch (JinjaException)
        {
            return false;
        }
        catch (Exception error)
        {
            throw new AssertionException($"seed {seed}: {error}\n{template}");
        }
    }

    private static string Damage(Random random, string template, string[] words)
    {
        for (int rounds = random.Next(1, 3); rounds > 0; rounds--)
        {
            int from = random.Next(template.Length + 1);
            int to = Math.Min(template.Length, from + random.Next(1, random.Next(4) == 0 ? 80 : 8));
            int into = random.Next(template.Length + 1);
            template = random.Next(5) switch
            {
                0 => template.Remove(from, to - from),
                1 => template.Insert(into, template[from..to]),
                2 => template.Remove(from, to - from).Insert(from, words[random.Next(words.Length)]),
                3 when to > from => template.Remove(from, 1).Insert(from, ((char)(template[from] ^ (1 << random.Next(7)))).ToString()),
                _ => template.Insert(into, words[random.Next(words.Length)]),
            };
        }

        return template;
    }
}
