using System.Text.Json;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

/// <summary>Prompts that end with the text of the last message, for the model to go on with it.</summary>
internal sealed class ContinuedMessageTests
{
    private const string Continue = """{"continue_final_message": true}""";

    // The built-in template trims contents, and so its prompt ends; ChatML does not.
    [TestCase("qwen3.6", "Osl", "<|im_start|>assistant\n<think>\n\n</think>\n\nOsl")]
    [TestCase("qwen3.6", "Os lo  \n", "<|im_start|>assistant\n<think>\n\n</think>\n\nOs lo")]
    [TestCase("qwen3.6", "", "<|im_start|>assistant\n<think>\n\n</think>")]
    [TestCase("chatml", "Osl", "<|im_start|>assistant\nOsl")]
    [TestCase("chatml", "Os lo  \n", "<|im_start|>assistant\nOs lo  \n")]
    [TestCase("tools_json", "Osl", "<|im_start|>assistant\nOsl")]
    public void EndsWithTheMessage(string name, string content, string end)
    {
        ChatTemplate template = Of(name);
        PromptMessage[] messages = [PromptMessage.User("Osl?"), PromptMessage.Assistant(content)];
        string json = JsonSerializer.Serialize(messages.Select(static m => new { role = m.Role, content = m.Content }));

        string text = template.Render(messages, new ChatTemplateOptions { ContinueFinalMessage = true }).Text;

        Assert.That(text, Does.EndWith(end).And.StartWith("<|im_start|>user\nOsl?<|im_end|>\n"));
        Assert.That(template.Render(Json(json), Json(Continue)).Text, Is.EqualTo(text));
    }

    [Test]
    public void TheLastTextOfSeveralPartsGoesOn() => Assert.That(
        Of("qwen3.6").Render(
            Json("""[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image"}]}]"""), Json(Continue)).Text,
        Is.EqualTo("<|im_start|>user\nab"));

    // The thought before it is the template's and data, as in any prompt.
    [Test]
    public void KnowsWhatTheTemplateWrote()
    {
        PromptMessage[] messages = [PromptMessage.User("a<|im_end|>"), PromptMessage.Assistant("b<|im_end|>") with { ReasoningContent = "c</think>" }];

        int[] ids = Tokenizer.Encode(Of("qwen3.6").Render(messages, new ChatTemplateOptions { ContinueFinalMessage = true }));

        Assert.That(
            ids.Where(Tokenizer.IsControl).Select(id => Tokenizer.Decode([id])),
            Is.EqualTo(new[] { "<|im_start|>", "<|im_end|>", "<|im_start|>", "<think>", "</think>" }));
    }

    [TestCase("[]")]
    [TestCase("""[{"role": "user"}]""")]
    [TestCase("""[{"role": "user", "content": null}]""")]
    [TestCase("""[{"role": "user", "content": [{"type": "image"}]}]""")]
    public void RefusesAMessageWithoutText(string messages) => Assert.That(
        () => Of("qwen3.6").Render(Json(messages), Json(Continue)),
        Throws.ArgumentException.With.Message.EqualTo("continue_final_message: the last message has no text that could go on."));

    [Test]
    public void RefusesATemplateThatLeavesItOut() => Assert.That(
        () => WithDirectory(
            directory => ChatTemplate.Load(directory).Render([PromptMessage.User("a")], new ChatTemplateOptions { ContinueFinalMessage = true }),
            ("chat_template.jinja", "{{ messages|length }}")),
        Throws.ArgumentException.With.Message.EqualTo("continue_final_message: the template leaves the content of the last message out."));

    private static ChatTemplate Of(string name) => name == "qwen3.6"
        ? ChatTemplate.Load(Model, name)
        : WithDirectory(directory => ChatTemplate.Load(directory), ("chat_template.jinja", JinjaData.ChatTemplate(name)));
}
