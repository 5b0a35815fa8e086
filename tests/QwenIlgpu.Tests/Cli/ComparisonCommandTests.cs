using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>The commands that other implementations are compared with: tokenize, render, logits.</summary>
internal sealed class ComparisonCommandTests
{
    [Test]
    public void TokenizeGivesTheGoldenIds()
    {
        JsonElement[] golden = TokenizationData.Golden("tokenizer");
        string input = JsonSerializer.Serialize(golden.Select(g => g.GetProperty("text")));
        CommandLine run = CommandLine.RunWithInput(input, "tokenize", "--input", "-", "--parse-special").Expect(ExitCode.Done);
        JsonElement[] printed = [.. run.Json.EnumerateArray()];

        Assert.That(printed, Has.Length.EqualTo(golden.Length));
        for (int i = 0; i < golden.Length; i++)
        {
            Assert.That(Ints(printed[i].GetProperty("ids")), Is.EqualTo(Ints(golden[i].GetProperty("ids"))), $"text {i}");
            Assert.That(printed[i].GetProperty("decoded").GetString(), Is.EqualTo(golden[i].GetProperty("decoded").GetString()), $"text {i}");
        }
    }

    [Test]
    public void TokenizeTakesControlTokensAsTextUnlessAsked()
    {
        int Ids(params string[] options) =>
            CommandLine.RunWithInput("""["<|im_end|>"]""", ["tokenize", "--input", "-", .. options]).Json[0].GetProperty("ids").GetArrayLength();

        Assert.That(Ids(), Is.GreaterThan(1));
        Assert.That(Ids("--parse-special"), Is.EqualTo(1));
    }

    [Test]
    public void TokenizeTakesOneTextAsItIs()
    {
        JsonElement Array(string[] args) => CommandLine.Run(args).Expect(ExitCode.Done).Json;
        string[] Decoded(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetProperty("decoded").GetString()!)];

        Assert.That(Decoded(Array(["tokenize", "Hello, world!"])), Is.EqualTo(new[] { "Hello, world!" }));
        Assert.That(Decoded(Array(["tokenize", "--", "[-1]"])), Is.EqualTo(new[] { "[-1]" }));
        Assert.That(Decoded(CommandLine.RunWithInput("[\"a\"]\n", "tokenize").Expect(ExitCode.Done).Json), Is.EqualTo(new[] { "[\"a\"]\n" }));
        Assert.That(Array(["tokenize", "<|im_end|>", "--parse-special"])[0].GetProperty("ids").GetArrayLength(), Is.EqualTo(1));
    }

    [Test]
    public void RenderTakesWhatAUserSays()
    {
        string Rendered(CommandLine run) => run.Expect(ExitCode.Done).Json[0].GetProperty("rendered").GetString()!;
        string given = Rendered(CommandLine.Run("render", "Hi"));

        Assert.That(given, Does.StartWith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"));
        Assert.That(Rendered(CommandLine.RunWithInput("Hi\n", "render")), Is.EqualTo(given));
    }

    [Test]
    public void ControlTokensInATextAreHintedAt()
    {
        string Error(params string[] args) => CommandLine.Run([.. args, "--model", TestData.TinyModel]).Expect(ExitCode.Done).Error;

        Assert.That(Error("tokenize", "a<|im_start|>b"), Does.Contain("the text holds control tokens such as <|im_start|>").And.Contain("--parse-special"));
        Assert.That(Error("tokenize", "a<|im_start|>b", "--parse-special"), Is.Empty);
        Assert.That(Error("tokenize", "a<b>"), Is.Empty);
    }

    [TestCase(false)]
    [TestCase(true)]
    public void LogitsHintsAtControlTokensThatItsIdsSpellOut(bool parsed)
    {
        int[] ids = [.. TestModels.Tiny.Tokenize("plain", parseSpecial: false), .. TestModels.Tiny.Tokenize("<|im_start|>user", parseSpecial: parsed)];
        using var directory = new TemporaryDirectory();
        string input = JsonSerializer.Serialize(new[] { new { ids = new[] { 1 } }, new { ids } });
        CommandLine run = CommandLine.RunWithInput(
            input, ["logits", "--input", "-", "--output", directory.File("out"), "--json", "--model", TestData.TinyModel, .. CommandLine.Device]).Expect(ExitCode.Done);

        Assert.That(run.Error, Is.EqualTo(
            parsed ? "" : "qwen: --input: item 1 spells control tokens such as <|im_start|> in plain text; `qwen tokenize --parse-special` gives their ids\n"));
    }

    [Test]
    public void RenderGivesTheGoldenPromptsAndErrors()
    {
        JsonElement[] golden = TokenizationData.Golden("chat_template");
        string input = JsonSerializer.Serialize(
            golden.Select(g => new { messages = g.GetProperty("messages"), options = g.GetProperty("options") }));
        JsonElement[] printed = [.. CommandLine.RunWithInput(input, "render", "--input", "-").Expect(ExitCode.Done).Json.EnumerateArray()];

        for (int i = 0; i < golden.Length; i++)
        {
            if (golden[i].TryGetProperty("rendered", out JsonElement rendered))
                Assert.That(printed[i].GetProperty("rendered").GetString(), Is.EqualTo(rendered.GetString()), $"conversation {i}");
            else
                Assert.That(printed[i].GetProperty("error").GetString(), Is.Not.Empty, $"conversation {i}");
        }
    }

    [Test]
    public void LogitsAreTheGoldenOnes()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestData.Golden, "tiny-qwen3.6.json")));
        JsonElement root = golden.RootElement;
        JsonElement list = root.ValueKind == JsonValueKind.Array ? root : root.GetProperty("prompts");
        int[][] prompts = [.. list.EnumerateArray().Take(2).Select(p => Ints(p.GetProperty("ids")))];
        string directory = Directory.CreateTempSubdirectory("qwen-logits-").FullName;
        try
        {
            string file = Path.Combine(directory, "out.safetensors");
            string input = Path.Combine(directory, "ids.json");
            File.WriteAllText(input, JsonSerializer.Serialize(prompts.Select(ids => new { ids })));
            CommandLine run = CommandLine.RunModel("logits", "--input", input, "--output", file, "--json").Expect(ExitCode.Done);

            Assert.That(run.Json.GetProperty("tensors").GetArrayLength(), Is.EqualTo(prompts.Length));
            using SafetensorsFile written = SafetensorsFile.Open(file);
            using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(TestData.Golden, "tiny-qwen3.6.safetensors"));
            for (int i = 0; i < prompts.Length; i++)
            {
                Assert.That(written.Tensors[$"{i}.logits"].Shape, Is.EqualTo(new long[] { prompts[i].Length, 2048 }));
                float[] actual = Floats(written, $"{i}.logits");
                float[] golden32 = Floats(expected, $"{i}.logits");

                // The project's own bound for f32 activations and pages against float64.
                Assert.That(actual.Zip(golden32, (a, b) => Math.Abs(a - b)).Max(), Is.LessThanOrEqualTo(2e-3f));
            }

            Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(2), "no unfinished file is left");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [TestCase("""[{"ids": [1]}, {"ids": []}]""", "item 1", "empty")]
    [TestCase("""[{"ids": [1, 2048]}]""", "item 0: id 1 is 2048", "0 to 2047")]
    [TestCase("""[{"ids": [-1]}]""", "item 0: id 0 is -1", "0 to 2047")]
    [TestCase("""[{"ids": [1.5]}]""", "item 0: id 0 is 1.5", "whole number")]
    [TestCase("""[{"text": "x"}]""", "item 0", "\"ids\"")]
    [TestCase("""{"ids": [1]}""", "standard input", "array")]
    [TestCase("""[{"ids": """, "standard input", "not valid JSON")]
    public void LogitsRefusesBadInputAndWritesNothing(string input, string place, string rule)
    {
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");
        CommandLine run = CommandLine.RunWithInput(input, ["logits", "--input", "-", "--output", file, .. CommandLine.Device]).Expect(ExitCode.Failed);

        Assert.That(run.Error, Does.Contain(place).And.Contain(rule));
        Assert.That(File.Exists(file), Is.False);
    }

    [TestCase("tokenize", """["a", 1]""", "item 1")]
    [TestCase("tokenize", """ "a" """, "array")]
    [TestCase("render", """[{"options": {}}]""", "item 0")]
    [TestCase("render", """[{"messages": [], "options": 5}]""", "\"options\"")]
    public void OtherCommandsRefuseBadInput(string command, string input, string message) =>
        Assert.That(CommandLine.RunWithInput(input, command, "--input", "-").Expect(ExitCode.Failed).Error, Does.Contain(message));

    [Test]
    public void AMissingInputFileIsNamed() =>
        Assert.That(CommandLine.Run("tokenize", "--input", "/no/such.json").Expect(ExitCode.Failed).Error, Does.Contain("/no/such.json: no such file"));

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];

    private static float[] Floats(SafetensorsFile file, string name)
    {
        TensorEntry tensor = file.Tensors[name];
        var values = new float[tensor.ElementCount];
        file.Read(tensor, 0, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
