using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Values of parameters by their schemas.</summary>
internal sealed class ToolSchemasTests
{
    [TestCase("""{"type": "string"}""", "42", "\"42\"")]
    [TestCase("""{"type": "string"}""", "null", "\"null\"")]
    [TestCase("""{"type": ["string", "null"]}""", "null", "null")]
    [TestCase("""{"type": ["string", "null"]}""", "42", "\"42\"")]
    [TestCase("""{"type": ["string", "integer"]}""", "42", "42")]
    [TestCase("""{"type": ["string", "integer"], "enum": ["42", 7]}""", "42", "\"42\"")]
    [TestCase("""{"enum": ["on", "1"]}""", "1", "\"1\"")]
    [TestCase("""{"enum": [1, 2]}""", "1", "1")]
    [TestCase("""{"const": true}""", "true", "true")]
    [TestCase("""{"const": "true"}""", "true", "\"true\"")]
    [TestCase("""{"type": "integer"}""", "-12345678901234567890123", "-12345678901234567890123")]
    [TestCase("""{"type": "integer"}""", " 5\n", "5")]
    [TestCase("""{"type": "integer"}""", "5.0", "\"5.0\"")]
    [TestCase("""{"type": "integer"}""", "5e3", "\"5e3\"")]
    [TestCase("""{"type": "integer"}""", "\"5\"", "\"\\\"5\\\"\"")]
    [TestCase("""{"type": "number"}""", "5", "5")]
    [TestCase("""{"type": "number"}""", "0.1000", "0.1000")]
    [TestCase("""{"type": "boolean"}""", "True", "true")]
    [TestCase("""{"type": "boolean"}""", "1", "\"1\"")]
    [TestCase("""{"type": "null"}""", "None", "null")]
    [TestCase("""{"type": "object"}""", "{\"a\": 1, \"a\": 2}", "{\"a\":2}")]
    [TestCase("""{"type": "object"}""", "{'a': 1}", "\"{'a': 1}\"")]
    [TestCase("""{"type": "array"}""", "[1, {\"b\": [2.0]}]", "[1,{\"b\":[2.0]}]")]
    [TestCase("""{"type": "array"}""", "{}", "\"{}\"")]
    [TestCase("""{"anyOf": [{"type": "integer"}, {"type": "null"}]}""", "null", "null")]
    [TestCase("""{"anyOf": [{"type": "integer"}, {"type": "null"}]}""", "true", "\"true\"")]
    [TestCase("""{"anyOf": [{"type": "string"}, {"const": 5}]}""", "five", "\"five\"")]
    [TestCase("""{"oneOf": [{"type": "boolean"}, {"$ref": "#/x"}]}""", "5", "5")]
    [TestCase("""{"$ref": "#/$defs/x"}""", "[1]", "[1]")]
    [TestCase("""{"type": "float"}""", "1.5", "1.5")]
    [TestCase("true", "1", "1")]
    [TestCase("{}", "word", "\"word\"")]
    [TestCase("{}", "True", "\"True\"")]
    [TestCase("{}", "\"word\"", "\"\\\"word\\\"\"")]
    [TestCase("{}", "{\"a\": \"\\u00e5\"}", "{\"a\":\"å\"}")]
    [TestCase("{}", "[\"\\ud800\"]", "[\"\uFFFD\"]")]
    public void AValueIsWhatItsSchemaSays(string schema, string text, string expected)
    {
        ToolSchemas schemas = Of($$$"""[{"type": "function", "function": {"name": "f", "parameters": {"properties": {"k": {{{schema}}}} } } }]""");

        JsonNode? value = schemas.ValueOf("f", "k", text);

        Assert.That(ComposedAnswer.Shown("f", new JsonObject { ["k"] = value }), Is.EqualTo($"f {{\"k\":{expected}}}"));
    }

    // One bad tool must not make the others unusable.
    [Test]
    public void WhatIsNoToolRestrictsNothing()
    {
        ToolSchemas schemas = Of(
            """
            [5, null, {"function": 5}, {"function": {"name": 5}}, {"function": {"name": "g", "parameters": []}},
             {"name": "f", "parameters": {"properties": {"k": {"type": "string"}}}}]
            """);

        Assert.That(schemas.ValueOf("f", "k", "5")!.ToJsonString(), Is.EqualTo("\"5\""));
        Assert.That(schemas.ValueOf("f", "other", "5")!.ToJsonString(), Is.EqualTo("5"));
        Assert.That(schemas.ValueOf("g", "k", "5")!.ToJsonString(), Is.EqualTo("5"));
    }

    // Deeper than is read, or no text at all: what is written stays.
    [Test]
    public void WhatCannotBeReadStaysAString([Values(65, 100_000)] int depth)
    {
        string text = new string('[', depth) + new string(']', depth);

        Assert.That(Of("[]").ValueOf("f", "k", text)!.GetValue<string>(), Is.EqualTo(text));
        Assert.That(Of("[]").ValueOf("f", "k", "[\"\uD800\"]")!.GetValue<string>(), Is.EqualTo("[\"\uD800\"]"));
    }

    private static ToolSchemas Of(string tools) => ToolSchemas.Of(JsonNode.Parse(tools)!.AsArray());
}
