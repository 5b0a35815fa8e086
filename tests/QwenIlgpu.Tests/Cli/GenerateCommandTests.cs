using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen generate` on the tiny model.</summary>
internal sealed class GenerateCommandTests
{
    private const string Question = "What is the capital of Norway?";

    [Test]
    public void AnswersOnOutputAndTellsTheRestOnError()
    {
        CommandLine run = CommandLine.RunModel("generate", Question, "--greedy").Expect(ExitCode.Done);

        Assert.That(run.Output.TrimEnd(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(run.Error, Does.Contain("built-in test model").And.Contain("tok/s").And.Contain("thoughts"));
    }

    [Test]
    public void JsonIsOneValueWithAnswerThoughtsIdsAndUsage()
    {
        JsonElement json = CommandLine.RunModel("generate", Question, "--greedy", "--json").Expect(ExitCode.Done).Json;

        Assert.That(json.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "text", "reasoning", "ids", "finish_reason", "usage" }));
        Assert.That(json.GetProperty("text").GetString(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(json.GetProperty("reasoning").GetString(), Does.Contain("Norway"));
        Assert.That(json.GetProperty("finish_reason").GetString(), Is.EqualTo("stop"));
        JsonElement usage = json.GetProperty("usage");
        Assert.That(usage.GetProperty("completion_tokens").GetInt32(), Is.EqualTo(json.GetProperty("ids").GetArrayLength()));
        Assert.That(usage.GetProperty("prompt_tokens").GetInt32(), Is.GreaterThan(5));
        Assert.That(usage.GetProperty("reasoning_tokens").GetInt32(), Is.GreaterThan(0));
        Assert.That(usage.GetProperty("seed").ValueKind, Is.EqualTo(JsonValueKind.Null), "greedy draws nothing");
    }

    [Test]
    public void RawGreedyContinuationIsTheGoldenOne()
    {
        JsonElement root = JsonElement.Parse(File.ReadAllText(Path.Combine(TestData.Golden, "tiny-qwen3.6-gptq-int4.json")));
        JsonElement prompt = (root.ValueKind == JsonValueKind.Array ? root : root.GetProperty("prompts"))[0];
        JsonElement json = CommandLine.RunModel(
            "generate", prompt.GetProperty("text").GetString()!, "--raw", "--greedy", "--ignore-eos", "--max-tokens", "64", "--json",
            "--model", TestData.TinyGptqModel).Expect(ExitCode.Done).Json;

        Assert.That(Ints(json.GetProperty("ids")), Is.EqualTo(Ints(prompt.GetProperty("greedy"))));
        Assert.That(json.GetProperty("finish_reason").GetString(), Is.EqualTo("length"));
    }

    [Test]
    public void AnUnsetSeedIsReportedAndGivesTheSameTokensAgain()
    {
        string[] args = ["generate", "Tell me a story about a fox.", "--no-thinking", "--temperature", "1.5", "--max-tokens", "12", "--json"];
        JsonElement first = CommandLine.RunModel(args).Expect(ExitCode.Done).Json;
        string seed = first.GetProperty("usage").GetProperty("seed").GetRawText();
        JsonElement second = CommandLine.RunModel([.. args, "--seed", seed]).Expect(ExitCode.Done).Json;

        Assert.That(second.GetProperty("ids").GetRawText(), Is.EqualTo(first.GetProperty("ids").GetRawText()));
    }

    [Test]
    public void LogProbabilitiesBiasAndStopStringsTakeEffect()
    {
        JsonElement json = CommandLine.RunModel(
            "generate", Question, "--no-thinking", "--greedy", "--stop", "Oslo", "--stop", "Bergen", "--top-logprobs", "2", "--logit-bias", "0=-inf",
            "--quantize", "int4", "--kv-type", "f32", "--state-type", "bf16", "--context", "128", "--chat-template", "qwen3.6", "--json").Expect(ExitCode.Done).Json;

        Assert.That(json.GetProperty("text").GetString(), Is.EqualTo("The capital of Norway is "));
        Assert.That(json.GetProperty("finish_reason").GetString(), Is.EqualTo("stop"));
        JsonElement[] tokens = [.. json.GetProperty("logprobs").EnumerateArray()];
        Assert.That(tokens, Has.Length.EqualTo(json.GetProperty("ids").GetArrayLength()));
        Assert.That(tokens[0].GetProperty("top").GetArrayLength(), Is.EqualTo(2));
        Assert.That(tokens[0].GetProperty("id").GetInt32(), Is.EqualTo(tokens[0].GetProperty("top")[0].GetProperty("id").GetInt32()));
        Assert.That(tokens[0].GetProperty("logprob").GetSingle(), Is.LessThanOrEqualTo(0));
    }

    [Test]
    public void AnAtSignIsTextAndADashReadsStandardInput()
    {
        string[] options = ["--no-thinking", "--greedy", "--max-tokens", "1", "--json", .. CommandLine.Device];
        int Tokens(string input, params string[] args) => PromptTokens(CommandLine.RunWithInput(input, ["generate", .. args]));

        int plain = Tokens("", ["hello", .. options]);
        Assert.That(Tokens("", ["@hello", .. options]), Is.EqualTo(plain + 1));
        Assert.That(Tokens("hello\n", ["-", .. options]), Is.EqualTo(plain));
        Assert.That(Tokens("", [.. options, "--", "-hello"]), Is.EqualTo(plain + 1));
    }

    [Test]
    public void ControlTokensCountOnlyInRawText()
    {
        string[] options = ["--greedy", "--max-tokens", "1", "--json"];
        int Tokens(params string[] args) => PromptTokens(CommandLine.RunModel(["generate", .. args, .. options]));

        Assert.That(Tokens("--raw", "<|im_end|>"), Is.EqualTo(1));
        Assert.That(Tokens("<|im_end|>") - Tokens("x"), Is.GreaterThan(3));
    }

    [Test]
    public void APromptBeyondTheContextFails()
    {
        CommandLine run = CommandLine.RunModel("generate", Question, "--context", "8").Expect(ExitCode.Failed);

        Assert.That(run.Output, Is.Empty);
        Assert.That(run.Error, Does.Match("the prompt has \\d+ tokens, the context 8; .*--context"));
    }

    [TestCase("--context", "4097", "at most 4096")]
    [TestCase("--logit-bias", "2048=1", "0 to 2047")]
    public void WhatOnlyTheModelKnowsIsStillWrongUsage(string option, string value, string rule) =>
        Assert.That(CommandLine.RunModel("generate", "hi", option, value).Expect(ExitCode.WrongUsage).Error, Does.Contain(option).And.Contain(rule));

    [TestCase("generate", "PROMPT")]
    [TestCase("tokenize", "TEXT")]
    [TestCase("render", "TEXT")]
    [TestCase("perplexity", "FILE")]
    public void NobodyIsWaitedForWhoTypesNothing(string command, string argument)
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(new StringReader("typed"), TextWriter.Null, error) { InputIsTerminal = true };

        Assert.That(CommandLine.RunOn(terminal, command, "--model", TestData.TinyModel), Is.EqualTo(ExitCode.WrongUsage));
        Assert.That(error.ToString(), Is.EqualTo($"qwen: {argument} is missing, and nothing is piped in; run 'qwen {command} --help'\n"));
    }

    [Test]
    public void APipedPromptNeedsNoArgument()
    {
        string[] options = ["--no-thinking", "--greedy", .. CommandLine.Device];
        string Answer(string input, params string[] args) => CommandLine.RunWithInput(input, ["generate", .. args, .. options]).Expect(ExitCode.Done).Output;

        Assert.That(Answer(Question + "\n"), Is.EqualTo(Answer("", Question)));
        Assert.That(Answer(Question + "\n", "-"), Is.EqualTo(Answer("", Question)));
        Assert.That(
            CommandLine.RunWithInput("", "generate").Expect(ExitCode.WrongUsage).Error,
            Is.EqualTo("qwen: PROMPT is missing: standard input is empty; run 'qwen generate --help'\n"));
    }

    [Test]
    public void ThoughtsAreDimmedOnATerminal()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error) { OutputIsTerminal = true, ErrorIsTerminal = true };

        Assert.That(CommandLine.RunOn(terminal, ["generate", Question, "--greedy", .. CommandLine.Device]), Is.EqualTo(ExitCode.Done));
        Assert.That(output.ToString().TrimEnd(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(error.ToString(), Does.Contain("\e[2m").And.Contain("loading weights"));
    }

    [Test]
    public void AnInterruptEndsItWith130()
    {
        using var error = new StringWriter();
        using var output = new InterruptingWriter();
        using var terminal = new Terminal(TextReader.Null, output, error);
        output.OnFirstWrite = () => terminal.Interrupts.Raise();

        int code = CommandLine.RunOn(
            terminal, ["generate", "Tell me a story.", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device]);

        Assert.That(code, Is.EqualTo(ExitCode.Interrupted));
        Assert.That(error.ToString(), Does.Contain("interrupted").And.Not.Contain("   at "));
    }

    private static int PromptTokens(CommandLine run) => run.Expect(ExitCode.Done).Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(i => i.GetInt32())];
}
