using System.Text.Json;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Templates on the command line: a checkpoint's own, a file, a name, and their options.</summary>
internal sealed class TemplateCommandTests
{
    private const string ChatMl =
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    [Test]
    public void AFineTuneIsAskedInItsOwnWords()
    {
        using var model = new ModelCopy();
        model.Write("chat_template.jinja", ChatMl.Replace("{{ '<|im_start|>assistant\\n' }}", "{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}", StringComparison.Ordinal));

        JsonElement answer = CommandLine.RunModel(
            "generate", "--model", model.Path, "--greedy", "--json", "--max-tokens", "40", "What is the capital of Norway?").Expect(ExitCode.Done).Json;

        Assert.That(answer.GetProperty("text").GetString(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(Rendered("--model", model.Path), Does.EndWith("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    }

    [Test]
    public void ATemplateIsChosenByFileOrName()
    {
        using var model = new ModelCopy();
        model.Delete("chat_template.jinja");
        model.Edit("tokenizer_config.json", config => config["chat_template"] = JsonNode.Parse(
            """[{"name": "default", "template": "{{ bos_token }}d"}, {"name": "short", "template": "s{{ effort|tojson }}"}]"""));
        model.Edit("tokenizer_config.json", config => config["bos_token"] = "<|im_start|>");
        model.Write("mine.jinja", ChatMl);

        Assert.That(Rendered("--model", model.Path), Is.EqualTo("<|im_start|>d"));
        Assert.That(Rendered("--model", model.Path, "--chat-template", "short", "--template-option", "effort=low"), Is.EqualTo("s\"low\""));
        Assert.That(Rendered("--model", model.Path, "--chat-template", "short", "--template-option", "effort=[1, true]"), Is.EqualTo("s[1, true]"));
        Assert.That(
            Rendered("--model", model.Path, "--chat-template", model.PathOf("mine.jinja")), Is.EqualTo("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"));
        Assert.That(Rendered("--model", model.Path, "--chat-template", "qwen3.6"), Does.EndWith("assistant\n<think>\n"));
        Assert.That(
            CommandLine.Run("render", "hi", "--model", model.Path, "--chat-template", "llama").Expect(ExitCode.WrongUsage).Error,
            Does.Contain($"--chat-template: \"llama\" is no chat template: there is no such file, {model.Path} names default, short, built in is qwen3.6"));
    }

    // What an item says itself counts before the command line.
    [Test]
    public void AnItemsOwnOptionsCount()
    {
        const string Items =
            """
            [{"messages": [{"role": "user", "content": "hi"}], "options": {"add_generation_prompt": true}},
             {"messages": [{"role": "user", "content": "hi"}], "options": {"add_generation_prompt": true, "enable_thinking": true}},
             {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Osl"}], "options": {"continue_final_message": true}},
             {"messages": []}]
            """;

        JsonElement[] items =
        [
            .. CommandLine.RunWithInput(Items, "render", "--input", "-", "--template-option", "enable_thinking=false").Expect(ExitCode.Done).Json.EnumerateArray(),
        ];

        Assert.That(items[0].GetProperty("rendered").GetString(), Does.EndWith("<think>\n\n</think>\n\n"));
        Assert.That(items[1].GetProperty("rendered").GetString(), Does.EndWith("<think>\n"));
        Assert.That(items[2].GetProperty("rendered").GetString(), Does.EndWith("</think>\n\nOsl"));
        Assert.That(items[3].GetProperty("error").GetString(), Does.EndWith("No messages provided."));
    }

    [Test]
    public void RenderSaysWhichOfTwoTemplatesCounts()
    {
        using var model = new ModelCopy();
        model.Edit("tokenizer_config.json", config => config["chat_template"] = "x");

        Assert.That(
            CommandLine.Run("render", "hi", "--model", model.Path).Expect(ExitCode.Done).Error,
            Does.Contain("chat_template.jinja and the chat_template of tokenizer_config.json differ; chat_template.jinja counts"));
    }

    [TestCase("info")]
    [TestCase("doctor", "model")]
    public void ReportsSayWhatAnswersLookLike(string command, string? place = null)
    {
        using var model = new ModelCopy();
        string Report() => (place is null ? Json() : Json().GetProperty(place)) is var report
            ? $"{report.GetProperty("chat_template")} {report.GetProperty("answer")}" : "";
        JsonElement Json() => CommandLine.Run(command, "--json", "--device", "cpu", "--model", model.Path).Expect(ExitCode.Done).Json;

        Assert.That(Compact(Report()), Is.EqualTo(Compact(
            """chat_template.jinja {"thinking": "<think> … </think>", "prompt_opens_thought": true, "thinking_can_be_off": true, "tool_calls": "xml", "end_of_turn": "<|im_end|>"}""")));
        model.Write("chat_template.jinja", ChatMl);
        Assert.That(Compact(Report()), Is.EqualTo(Compact(
            """chat_template.jinja {"thinking": null, "prompt_opens_thought": false, "thinking_can_be_off": false, "tool_calls": "none", "end_of_turn": "<|im_end|>"}""")));
    }

    private static string Rendered(params string[] args) =>
        CommandLine.Run(["render", "hi", .. args]).Expect(ExitCode.Done).Json[0].GetProperty("rendered").GetString()!;

    private static string Compact(string json) => json.Replace(" ", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal);
}
