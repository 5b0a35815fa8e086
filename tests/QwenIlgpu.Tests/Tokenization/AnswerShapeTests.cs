using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

/// <summary>What is read from templates of how their models answer.</summary>
internal sealed class AnswerShapeTests
{
    private static readonly Dictionary<string, string> more = new()
    {
        // Thoughts only inside of the content, dropped from earlier turns; the prompt opens one.
        ["dropping"] = """
            {%- for m in messages %}
                {%- set c = m.content.split('</think>')[-1] if m.role == 'assistant' and not loop.last else m.content %}
                {{- '<|' ~ m.role ~ '|>' ~ c ~ eos_token }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}
            """,

        // Off unless asked for.
        ["asked"] = """
            {%- for m in messages %}
                {{- '<|im_start|>' ~ m.role ~ '\n' ~ ('<think>\n' ~ m.reasoning_content ~ '\n</think>\n' if m.reasoning_content) ~ m.content ~ '<|im_end|>\n' }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' ~ ('<think>\n' if enable_thinking) }}{% endif %}
            """,
        ["channels"] = """
            {%- for m in messages %}
                {{- '<|start|>' ~ m.role }}
                {%- if m.thinking %}{{ '<|channel|>analysis<|message|>' ~ m.thinking ~ '<|end|><|start|>assistant' }}{% endif %}
                {{- '<|message|>' ~ m.content ~ '<|end|>' }}
            {%- endfor %}
            """,
        ["llama"] = """
            {%- for m in messages %}
                {{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' }}
                {%- if m.tool_calls %}{{ '{"name": "' ~ m.tool_calls[0].function.name ~ '", "parameters": ' ~ m.tool_calls[0].function.arguments|tojson ~ '}' }}
                {%- else %}{{ m.content }}{% endif %}{{ '<|eot_id|>' }}
            {%- endfor %}
            """,
        ["refusing"] = "{{ raise_exception('never') }}",
        ["bare"] = "{% for m in messages %}{{ m.content }}{% endfor %}",
    };

    [TestCase("qwen3.6", "<think> </think> open off Xml <|im_end|>")]
    [TestCase("thinking_xml", "<think> </think> open off Xml <|im_end|>")]
    [TestCase("thinking_effort", "<think> </think> open off Other <|im_end|>")]
    [TestCase("tools_json", "- Json <|im_end|>")]
    [TestCase("chatml", "- None <|im_end|>")]
    [TestCase("strict_pairs", "- None </s>")]
    [TestCase("dropping", "<think> </think> open None </s>")]
    [TestCase("asked", "<think> </think> None <|im_end|>")]
    [TestCase("channels", "- None <|end|>")]
    [TestCase("llama", "- Other <|eot_id|>")]
    [TestCase("refusing", "- None -")]
    [TestCase("bare", "- None -")]
    public void IsReadFromTheTemplate(string name, string expected)
    {
        AnswerShape shape = name == "qwen3.6" ? ChatTemplate.Load(Model).Shape : Of(more.GetValueOrDefault(name) ?? JinjaData.ChatTemplate(name));

        string?[] words =
        [
            shape.Thinking?.Start ?? "-", shape.Thinking?.End, shape.OpensThought ? "open" : null, shape.ThinkingCanBeOff ? "off" : null,
            $"{shape.ToolCalls}", shape.EndOfTurn ?? "-",
        ];
        Assert.That(string.Join(' ', words.Where(static word => word is not null)), Is.EqualTo(expected));
    }

    private static AnswerShape Of(string template) => WithDirectory(
        directory => ChatTemplate.Load(directory).Shape, ("chat_template.jinja", template), ("tokenizer_config.json", """{"eos_token": "</s>"}"""));
}
