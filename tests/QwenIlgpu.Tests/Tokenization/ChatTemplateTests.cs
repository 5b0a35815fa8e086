using System.Text.Json.Nodes;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class ChatTemplateTests
{
    [Test]
    public void TakesQwen36WhereTheCheckpointHasNone()
    {
        Assert.That(ChatTemplate.Load(Model).Name, Is.EqualTo("qwen3.6"));
        Assert.That(WithDirectory(directory => ChatTemplate.Load(directory)).Name, Is.EqualTo("qwen3.6"));
        Assert.That(LoadWithConfig("""{"chat_template": null}""").Name, Is.EqualTo("qwen3.6"));
    }

    [TestCase("chat_template.jinja", "{{ messages }}")]
    [TestCase("tokenizer_config.json", """{"chat_template": "{{ messages }}"}""")]
    [TestCase("tokenizer_config.json", """{"chat_template": [{"name": "default", "template": "{{ messages }}"}]}""")]
    public void RejectsAnUnknownTemplate(string file, string text)
    {
        NotSupportedException error = Assert.Throws<NotSupportedException>(
            () => WithDirectory(directory => ChatTemplate.Load(directory), (file, text)))!;

        Assert.That(error.Message, Does.Contain(file).And.Contains("--chat-template qwen3.6").And.Contains("sha256 f24189"));
    }

    [Test]
    public void RendersByTheNameGivenInstead()
    {
        Assert.That(
            WithDirectory(directory => ChatTemplate.Load(directory, "qwen3.6"), ("chat_template.jinja", "{{ messages }}")).Name,
            Is.EqualTo("qwen3.6"));
        Assert.That(
            () => ChatTemplate.Load(Model, "qwen4"),
            Throws.ArgumentException.With.Message.EqualTo("There is no chat template \"qwen4\"; known is qwen3.6."));
    }

    [TestCase("[")]
    [TestCase("[]")]
    public void RejectsABadConfiguration(string text) =>
        Assert.That(() => LoadWithConfig(text), Throws.TypeOf<InvalidDataException>().With.Message.Contains("tokenizer_config.json: "));

    [Test]
    public void RendersMessages()
    {
        PromptMessage[] messages =
        [
            PromptMessage.System("Be brief."),
            PromptMessage.User("Weather in Oslo?"),
            PromptMessage.Assistant("") with
            {
                ReasoningContent = "I need the tool.",
                ToolCalls = [new PromptToolCall("get_weather", new JsonObject { ["city"] = "Oslo", ["days"] = 2 })],
            },
            PromptMessage.Tool("3 °C"),
        ];
        ChatTemplateOptions options = new() { Tools = [new JsonObject { ["name"] = "get_weather" }], EnableThinking = false };

        string text = ChatTemplate.Load(Model).Render(messages, options).Text;

        Assert.That(text, Does.StartWith("<|im_start|>system\n# Tools\n").And.Contains("<tools>\n{\"name\": \"get_weather\"}\n</tools>"));
        Assert.That(text, Does.EndWith(
            "</IMPORTANT>\n\nBe brief.<|im_end|>\n<|im_start|>user\nWeather in Oslo?<|im_end|>\n<|im_start|>assistant\n"
            + "<think>\nI need the tool.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
            + "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call><|im_end|>\n"
            + "<|im_start|>user\n<tool_response>\n3 °C\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    }

    [Test]
    public void TakesUnpairedSurrogatesOfMessages()
    {
        PromptToolCall call = new("f\uD800", new JsonObject { ["k"] = "v\uDC00" });
        PromptMessage[] messages = [PromptMessage.User("a\uD800b"), PromptMessage.Assistant("c\uD800") with { ToolCalls = [call] }];

        string text = ChatTemplate.Load(Model).Render(messages, new ChatTemplateOptions()).Text;

        Assert.That(text, Does.Contain("user\na\uFFFDb<").And.Contains("f\uFFFD>").And.Contains("v\uFFFD\n"));
    }

    private static ChatTemplate LoadWithConfig(string text) =>
        WithDirectory(directory => ChatTemplate.Load(directory), ("tokenizer_config.json", text));
}
