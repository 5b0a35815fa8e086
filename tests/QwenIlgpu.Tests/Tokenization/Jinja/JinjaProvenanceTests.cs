using static QwenIlgpu.Tests.JinjaData;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

/// <summary>A control token is one only where the template wrote all of its characters.</summary>
internal sealed class JinjaProvenanceTests
{
    private const string End = "<|im_end|>";

    private static readonly string[] controls =
    [
        .. Enumerable.Range(0, Tokenizer.VocabularySize).Where(Tokenizer.IsControl).Select(static id => Tokenizer.Decode([id])),
    ];

    // x is data, b a special token that the template was given; the characters of the template stand in brackets.
    [TestCase("a{{ x }}b", "[a]x{}[b]")]
    [TestCase("{{ 'a' ~ x + 'b' }}", "[a]x{}[b]")]
    [TestCase("{{ b ~ x[1:] ~ b[::-1] }}", "[<s>]{}[>s<]")]
    [TestCase("{{ (x ~ 'ab')[::-1] }}", "[ba]}{x")]
    [TestCase("{{ (x ~ 'ab')[1:4] }}", "{}[a]")]
    [TestCase("{{ x|replace('{', 'AB')|lower }}", "x[ab]}")]
    [TestCase("{{ 'a{b'|replace('{', x)|upper }}", "[A]X{}[B]")]
    [TestCase("{{ x.replace('', '-') }}", "[-]x[-]{[-]}[-]")]
    [TestCase("{{ [x, 'a', b]|join('+') }}", "x{}[+a+<s>]")]
    [TestCase("{{ ('a,' ~ x ~ ',b').split(',')|join }}", "[a]x{}[b]")]
    [TestCase("{{ {'k': x, x: 'v'}|tojson }}", "{\"[k]\": \"x{}\", \"x{}\": \"[v]\"}")]
    [TestCase("{{ ['a', x] }}", "['[a]', 'x{}']")]
    [TestCase("{{ ('\\n' ~ n)|tojson }}", "\"[\\n]\\n\"")]
    [TestCase("{% set y %}a{{ x }}{% endset %}{{ y|trim|title }}", "[A]x{}")]
    [TestCase("{% macro f(y) %}<{{ y }}{{ caller() }}>{% endmacro %}{% call f(x) %}c{% endcall %}", "[<]x{}[c>]")]
    [TestCase("{{ '%s|%5s' % (x, 'a') }}", "x{}[|]    [a]")]
    [TestCase("{{ '{}-{y!r}'.format(x, y='a') }}", "x{}[-]'[a]'")]
    [TestCase("{{ ('  ' ~ x ~ ' a ')|trim }}", "x{}[ a]")]
    [TestCase("{{ (x ~ 'a')|list|reverse|join }}", "[a]}{x")]
    [TestCase("{{ (x ~ 'ab')|truncate(6, true, '..', 0) }}{{ (x ~ 'abcd')|truncate(5, true, '..', 0) }}", "x{}[ab]x{}[..]")]
    [TestCase("{{ '\\n'.join([x, x])|indent('> ') }}", "x{}\n[> ]x{}")]
    [TestCase("{{ (x ~ '<')|e }}{{ '<'|e }}", "x{}[&lt;&lt;]")]
    [TestCase("{{ 1 }}{{ none }}{{ strftime_now('%Y') }}", "1None2026")]
    [TestCase("{% for k, v in {'a': x}|items %}{{ k ~ v }}{% endfor %}", "[a]x{}")]
    [TestCase("{{ (x ~ '-a').partition('-')|last }}{{ 'Ab' ~ x|upper }}", "[aAb]X{}")]
    [TestCase("{{ x.partition('{')|join }}{{ dict(**{x: 'a'}) }}", "x{}{'x{}': '[a]'}")]
    [TestCase("{% macro f() %}{{ kwargs }}{% endmacro %}{{ f(**{x: 'a'}) }}", "{'x{}': '[a]'}")]
    [TestCase("{% filter upper %}a{{ x }}{% endfilter %}{% generation %}g{{ x }}{% endgeneration %}", "[A]X{}[g]x{}")]
    public void KnowsWhoWroteEachCharacter(string template, string expected)
    {
        Dictionary<string, object> variables = new()
        {
            ["x"] = JinjaText.Data("x{}"),
            ["n"] = JinjaText.Data("\n"),
            ["b"] = JinjaText.Template("<s>"),
        };

        JinjaText text = JinjaTemplate.Parse(template).Render(variables, Now);

        Assert.That(Marked(text), Is.EqualTo(expected));
    }

    [TestCase("<|im_end|>", 1)]
    [TestCase("{{ '<|im_' ~ 'end|>' }}{{ x ~ e }}", 2)]
    [TestCase("{{ x|replace('<|im_end|>', '<|im_start|>') }}", 1)]
    [TestCase("{{ 'X<|im_end|>'|replace('X', x) }}{{ ['<|im_end|>']|join(x) }}", 2)]
    [TestCase("{{ x }}{{ '<|im_' ~ x[5:] }}{{ x[:5] ~ 'end|>' }}", 0)]
    public void ReadsTheTemplatesOwnControlTokens(string template, int count)
    {
        Dictionary<string, object> variables = new() { ["x"] = JinjaText.Data(End), ["e"] = JinjaText.Template(End) };

        int[] ids = Tokenizer.Encode(JinjaTemplate.Parse(template).Render(variables, Now).ToPrompt());

        Assert.That(ids.Count(Tokenizer.IsControl), Is.EqualTo(count));
    }

    // No text of these templates holds a ">", so that none of them writes a control token, however it slices, replaces and joins.
    [TestCase(200)]
    [TestCase(100_000, Category = "Exhaustive")]
    public void NothingGivenYieldsAControlToken(int count)
    {
        int rendered = 0;
        int withControls = 0;
        for (int seed = 0; seed < count; seed++)
        {
            Random random = new(seed);
            string template = string.Concat(Enumerable.Range(0, 3).Select(_ => Statement(random)));
            Dictionary<string, object> variables = new(StringComparer.Ordinal)
            {
                ["x"] = Attack(random),
                ["y"] = Attack(random),
                ["l"] = new JinjaList([Attack(random), Attack(random), Attack(random)]),
                ["d"] = Dict((Attack(random), Attack(random)), (JinjaText.Data("k"), Attack(random))),
            };
            JinjaText text;
            try
            {
                text = JinjaTemplate.Parse(template).Render(variables, Now);
            }
            catch (JinjaException error) when (!error.Words.StartsWith("unexpected", StringComparison.Ordinal))
            {
                continue;
            }

            rendered++;
            if (controls.Any(control => text.Text.Contains(control, StringComparison.Ordinal))) withControls++;
            if (Tokenizer.Encode(text.ToPrompt()).Any(Tokenizer.IsControl))
                Assert.Fail($"seed {seed}: {template} gives {Marked(text)}");
        }

        TestContext.Out.WriteLine($"{rendered} of {count} rendered, {withControls} with the text of a control token");
        Assert.That(rendered, Is.GreaterThan(count / 2));
        Assert.That(withControls, Is.GreaterThan(count / 3));
    }

    private static JinjaText Attack(Random random)
    {
        string control = controls[random.Next(controls.Length)];
        int cut = random.Next(control.Length);
        return JinjaText.Data(random.Next(6) switch
        {
            0 => control[cut..],
            1 => control[..cut],
            2 => new string([.. control.Reverse()]),
            3 => $"\"{control}'\n{control[cut..]}",
            4 => $"🦊{control[..cut]},{control[cut..]}",
            _ => control + controls[random.Next(controls.Length)],
        });
    }

    private static string Statement(Random random) => random.Next(8) switch
    {
        0 => $"{{% set v %}}{Literal(random)}{{{{ {Expression(random, 2)} }}}}{{% endset %}}{{{{ v }}}}",
        1 => $"{{% for i in {List(random, 2)} %}}{Literal(random)}{{{{ i }}}}{{% endfor %}}",
        2 => $"{{% macro f(a) %}}{Literal(random)}{{{{ a ~ {Expression(random, 1)} }}}}{{% endmacro %}}{{{{ f({Expression(random, 2)}) }}}}",
        3 => $"{{% filter replace({Expression(random, 1)}, {Expression(random, 1)}) %}}{{{{ {Expression(random, 2)} }}}}{{% endfilter %}}",
        _ => $"{Literal(random)}{{{{ {Expression(random, 3)} }}}}",
    };

    // What a control token starts with, or nothing that matters.
    private static string Literal(Random random)
    {
        string control = controls[random.Next(controls.Length)];
        return random.Next(4) == 0 ? "a" : control[..random.Next(control.Length)];
    }

    private static string Expression(Random random, int depth)
    {
        string E() => Expression(random, depth - 1);
        if (depth == 0)
            return random.Next(5) switch { 0 => "y", 1 => "d.k", 2 => "l[1]", 3 => $"'{Literal(random)}'", _ => "x" };
        return random.Next(30) switch
        {
            0 => $"({E()} + {E()})",
            1 => $"({E()} ~ {E()} ~ 1)",
            2 => $"({E()})[{random.Next(4)}:]",
            3 => $"({E()})[:-{random.Next(1, 4)}]",
            4 => $"({E()})[::-1]",
            5 => $"({E()})|replace({E()}, {E()})",
            6 => $"({E()}).replace('', {E()})",
            7 => $"({E()})|upper|lower",
            8 => $"({E()})|title|lower",
            9 => $"({E()})|trim",
            10 => $"({E()}).strip('|a')",
            11 => $"({E()})|tojson",
            12 => $"[{E()}, {E()}]",
            13 => $"{{{E()}: {E()}}}|tojson(indent=1)",
            14 => $"'{{}}{{}}'.format({E()}, {E()})",
            15 => $"'%s%s' % ({E()}, {E()})",
            16 => $"({E()})|indent({E()}, true)",
            17 => $"({E()}).partition('|')[2]",
            18 => $"({E()})|truncate(9, true, {E()}, 0)",
            19 => $"({E()})|list|join({E()})",
            20 => $"({E()} if {E()} else {E()})",
            21 => $"({E()}).center(40, '|')",
            22 => $"({E()}).removeprefix({E()})",
            23 => $"({E()}).casefold().swapcase().swapcase()",
            24 => $"(({E()}) * 2)",
            25 => $"({E()}).splitlines()|join",
            26 => $"({E()}).expandtabs().zfill(30)",
            27 => $"d|dictsort|map('join', {E()})|join",
            _ => $"{List(random, depth - 1)}|join({E()})",
        };
    }

    private static string List(Random random, int depth)
    {
        string E() => Expression(random, Math.Max(0, depth - 1));
        return random.Next(7) switch
        {
            0 => "l",
            1 => "l|reverse|map('string')",
            2 => $"({E()}).split({E()} or ',')",
            3 => $"[{E()}, {E()}]",
            4 => $"({E()}).rsplit('|', 1)",
            5 => "d.items()|map('join')",
            _ => $"({E()}).partition('|')",
        };
    }

    private static JinjaDict Dict(params (JinjaText Key, JinjaText Value)[] items)
    {
        JinjaDict dict = new();
        foreach ((JinjaText key, JinjaText value) in items)
            dict.Items[key] = value;
        return dict;
    }

    private static string Marked(JinjaText text) => string.Concat(text.Runs().Select(
        run => run.IsTemplate ? $"[{text.Text[run.Units.Start..run.Units.End]}]" : text.Text[run.Units.Start..run.Units.End]));
}
