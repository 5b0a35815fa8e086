using System.Text.Json.Nodes;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

/// <summary>Where a checkpoint's template is found, which of several counts, and what is refused.</summary>
internal sealed class ChatTemplateSourceTests
{
    private const string Jinja = "chat_template.jinja";
    private const string JsonFile = "chat_template.json";
    private const string Config = "tokenizer_config.json";

    private static readonly PromptMessage[] hi = [PromptMessage.User("hi")];

    [Test]
    public void TakesTheBuiltInOneWhereTheCheckpointHasNone()
    {
        Assert.That(WithDirectory(Load).Name, Is.EqualTo("qwen3.6"));
        Assert.That(WithDirectory(Load, (Config, """{"chat_template": null}""")).Name, Is.EqualTo("qwen3.6"));
    }

    [Test]
    public void TheBuiltInModelShipsTheBuiltInTemplate()
    {
        Assert.That(Load(Model).Name, Is.EqualTo(Jinja));
        Assert.That(
            ChatTemplateSource.Find(Model, null).Text, Is.EqualTo(ChatTemplateSource.Find(Model, "qwen3.6").Text));
    }

    // Each subset of the three places, all of them different: the first in order counts, the others are named.
    [Test]
    public void TheFirstOfThePlacesCountsAndTheOthersAreNamed([Range(1, 7)] int places)
    {
        (string Name, string Text)[] all = [(Jinja, "1"), (JsonFile, """{"chat_template": "2"}"""), (Config, """{"chat_template": "3"}""")];
        (string Name, string Text)[] given = [.. all.Where((_, i) => (places & (1 << i)) != 0)];

        ChatTemplate template = WithDirectory(Load, given);

        Assert.That(template.Name, Is.EqualTo(given[0].Name));
        Assert.That(Text(template), Is.EqualTo($"{Array.IndexOf(all, given[0]) + 1}"));
        string others = string.Join(" and ", given.Skip(1).Select(static place => place.Name));
        Assert.That(
            template.Notice,
            Is.EqualTo(given.Length == 1 ? null : $"{given[0].Name} and the chat_template of {others} differ; {given[0].Name} counts"));
    }

    [TestCase("{{ 1 }}\n")]
    [TestCase("{{ 1 }}")]
    [TestCase("\uFEFF{{ 1 }}")]
    public void LineEndsAndMarksMakeNoDifference(string text)
    {
        string json = new JsonObject { ["chat_template"] = text }.ToJsonString();

        ChatTemplate template = WithDirectory(Load, (Jinja, "\uFEFF{{ 1 }}\r\n"), (JsonFile, json), (Config, json));

        Assert.That((template.Notice, Text(template)), Is.EqualTo(((string?)null, "1")));
    }

    [Test]
    public void WindowsLineEndsRenderAlike()
    {
        const string Template = "{% for m in messages %}\n{{ m.content }}\n{% endfor %}\nend\n";

        string plain = Text(WithDirectory(Load, (Jinja, Template)));

        Assert.That(plain, Is.EqualTo("hi\nend"));
        Assert.That(Text(WithDirectory(Load, (Jinja, Template.ReplaceLineEndings("\r\n")))), Is.EqualTo(plain));
    }

    [TestCase("""{"chat_template": [{"name": "other", "template": "o"}, {"name": "default", "template": "d"}]}""", null, "d")]
    [TestCase("""{"chat_template": {"other": "o", "default": "d"}}""", null, "d")]
    [TestCase("""{"chat_template": [{"name": "other", "template": "o"}, {"name": "default", "template": "d"}]}""", "other", "o")]
    [TestCase("""{"chat_template": [{"name": "qwen3.6", "template": "o"}, {"name": "default", "template": "d"}]}""", "qwen3.6", "o")]
    [TestCase("""{"chat_template": [{"name": "default", "template": "d"}, {"name": "default", "template": "e"}]}""", "default", "e")]
    public void TakesOneOfAListByName(string config, string? choice, string expected) =>
        Assert.That(Text(WithDirectory(directory => ChatTemplate.Load(directory, choice), (Config, config))), Is.EqualTo(expected));

    // As Hugging Face's transformers have it; a choice holds in any case.
    [TestCase(null, false, "d")]
    [TestCase(null, true, "t")]
    [TestCase("default", true, "d")]
    public void ToolsTakeTheTemplateOfToolUse(string? choice, bool hasTools, string expected)
    {
        const string List = """{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}""";
        ChatTemplate template = WithDirectory(directory => ChatTemplate.Load(directory, choice), (Config, List));

        Assert.That(template.Render(hi, new ChatTemplateOptions { Tools = hasTools ? [1] : null }).Text, Is.EqualTo(expected));
    }

    [Test]
    public void TakesNamedFilesBesideTheTemplateOfItsOwn()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File(Jinja), "d");
        Directory.CreateDirectory(directory.File("additional_chat_templates"));
        File.WriteAllText(directory.File("additional_chat_templates/tool_use.jinja"), "t");
        File.WriteAllText(directory.File(Config), """{"chat_template": [{"name": "tool_use", "template": "u"}]}""");

        Assert.That(Text(ChatTemplate.Load(directory.Path, "tool_use")), Is.EqualTo("t"));
        Assert.That(ChatTemplate.Load(directory.Path).Render(hi, new ChatTemplateOptions { Tools = [1] }).Text, Is.EqualTo("t"));
    }

    // A path that exists counts before any name.
    [Test]
    public void TakesAFile()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("mine.jinja"), "{{ bos_token }}{{ messages[0].content }}");

        ChatTemplate template = WithDirectory(
            checkpoint => ChatTemplate.Load(checkpoint, directory.File("mine.jinja")), (Config, """{"bos_token": "<|im_start|>"}"""));

        RenderedPrompt prompt = template.Render([PromptMessage.User("<|im_start|>")], new ChatTemplateOptions());
        Assert.That(template.Name, Is.EqualTo(directory.File("mine.jinja")));
        Assert.That(Tokenizer.Encode(prompt).Count(Tokenizer.IsControl), Is.EqualTo(1), "the token is the template's, the message is not");
    }

    [Test]
    public void AnUnknownNameIsRefusedWithBothLists()
    {
        string? Refusal(params (string, string)[] files) => WithDirectory(directory =>
        {
            string? refusal = ChatTemplateSource.Refusal(directory, "llama");
            Assert.That(() => ChatTemplate.Load(directory, "llama"), Throws.ArgumentException.With.Message.EqualTo(refusal));
            return refusal?.Replace(directory, "DIR", StringComparison.Ordinal);
        }, files);

        Assert.That(Refusal(), Is.EqualTo("\"llama\" is no chat template: there is no such file, DIR names none, built in is qwen3.6"));
        Assert.That(
            Refusal((Config, """{"chat_template": [{"name": "a", "template": "1"}, {"name": "b", "template": "2"}]}""")),
            Is.EqualTo("\"llama\" is no chat template: there is no such file, DIR names a, b, built in is qwen3.6"));
        Assert.That(ChatTemplateSource.Refusal(Model, "qwen3.6"), Is.Null);
    }

    [TestCase(Jinja, "{{ 'a' }}\n{% if %}", "chat_template.jinja: the chat template is at fault at line 2, column ")]
    [TestCase(Jinja, " \n", "chat_template.jinja: the chat template is empty")]
    [TestCase(JsonFile, """{"chat_template": "{% include 'x' %}"}""", "chat_template.json: the chat template is at fault at line 1, column ")]
    [TestCase(JsonFile, "[]", "chat_template.json: is a JSON Array, an object is expected")]
    [TestCase(JsonFile, """{"chat_template": 7}""", "chat_template.json: chat_template is 7; a text, or a list of names with templates, is expected")]
    [TestCase(Config, """{"chat_template": "{{ a"}""", "tokenizer_config.json: the chat template is at fault at line 1, column ")]
    [TestCase(Config, """{"chat_template": ["a"]}""", "tokenizer_config.json: chat_template is [\"a\"]; a text, or a list of names")]
    [TestCase(Config, """{"chat_template": [{"name": "default", "template": ""}]}""", "tokenizer_config.json: the chat template is empty")]
    [TestCase(Config, """{"chat_template": [{"name": "a", "template": "x"}, {"name": "b", "template": "x"}]}""",
        "tokenizer_config.json: of the chat templates a, b none is \"default\"; choose one")]
    [TestCase(Config, "[", "tokenizer_config.json: not valid JSON: line 1, column 2")]
    public void NamesTheFileOfAFault(string file, string text, string fault) => Assert.That(
        () => WithDirectory(Load, (file, text)), Throws.TypeOf<InvalidDataException>().With.Message.Contains(fault));

    // A source that does not count is only compared.
    [Test]
    public void AFaultOfAnotherSourceStopsNobody()
    {
        ChatTemplate template = WithDirectory(Load, (Jinja, "1"), (JsonFile, "{"), (Config, """{"chat_template": 7}"""));

        Assert.That((Text(template), template.Notice), Is.EqualTo(("1", (string?)null)));
    }

    private static ChatTemplate Load(string directory) => ChatTemplate.Load(directory);

    private static string Text(ChatTemplate template) => template.Render(hi, new ChatTemplateOptions()).Text;
}
