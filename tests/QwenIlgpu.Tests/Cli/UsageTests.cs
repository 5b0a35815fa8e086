using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>What the command line makes of its arguments before anything runs.</summary>
internal sealed class UsageTests
{
    private static readonly string[] Commands = ["generate", "chat", "info", "doctor", "bench", "tokenize", "render", "logits", "perplexity"];

    [TestCase]
    [TestCase("frobnicate")]
    [TestCase("generate")]
    [TestCase("generate", "one", "two")]
    [TestCase("generate", "--gredy", "hello")]
    [TestCase("generate", "--gredy")]
    [TestCase("info", "--frob")]
    [TestCase("info", "surplus")]
    [TestCase("generate", "")]
    [TestCase("generate", "hello", "--model")]
    [TestCase("generate", "hello", "--model", "")]
    [TestCase("generate", "hello", "--device", "tpu")]
    [TestCase("generate", "hello", "--threads", "-1")]
    [TestCase("generate", "hello", "--threads", "257")]
    [TestCase("generate", "hello", "--quantize", "int8")]
    [TestCase("generate", "hello", "--page-type", "int8")]
    [TestCase("generate", "hello", "--context", "-1")]
    [TestCase("generate", "hello", "--prefill-chunk", "100")]
    [TestCase("bench", "--prefill-chunk", "16384")]
    [TestCase("generate", "hello", "--chat-template", "llama")]
    [TestCase("generate", "hello", "--max-tokens", "0")]
    [TestCase("generate", "hello", "--max-tokens", "1.5")]
    [TestCase("generate", "hello", "--seed", "-1")]
    [TestCase("generate", "hello", "--temperature", "warm")]
    [TestCase("generate", "hello", "--temperature", "-1")]
    [TestCase("generate", "hello", "--temperature", "0,5")]
    [TestCase("generate", "hello", "--temperature", "NaN")]
    [TestCase("generate", "hello", "--top-p", "0")]
    [TestCase("generate", "hello", "--top-k", "-1")]
    [TestCase("generate", "hello", "--min-p", "2")]
    [TestCase("generate", "hello", "--repetition-penalty", "0")]
    [TestCase("generate", "hello", "--frequency-penalty", "3")]
    [TestCase("generate", "hello", "--presence-penalty", "-3")]
    [TestCase("generate", "hello", "--preset", "poetry")]
    [TestCase("generate", "hello", "--stop", "")]
    [TestCase("generate", "hello", "--logit-bias", "5")]
    [TestCase("generate", "hello", "--logit-bias", "x=1")]
    [TestCase("generate", "hello", "--logit-bias", "5=1", "--logit-bias", "5=2")]
    [TestCase("generate", "hello", "--top-logprobs", "3")]
    [TestCase("generate", "hello", "--top-logprobs", "21", "--json")]
    [TestCase("generate", "hello", "--greedy", "--temperature", "1")]
    [TestCase("generate", "hello", "--raw", "--no-thinking")]
    [TestCase("generate", "hello", "--raw", "--system", "be brief")]
    [TestCase("chat", "--on-full", "ask")]
    [TestCase("chat", "--thoughts", "hide")]
    [TestCase("info", "--context", "5000")]
    [TestCase("bench", "--runs", "4")]
    [TestCase("bench", "--decode-tokens", "0")]
    [TestCase("tokenize")]
    [TestCase("render")]
    [TestCase("logits", "--input", "-")]
    [TestCase("perplexity")]
    [TestCase("perplexity", "x.txt", "--context", "1")]
    [TestCase("perplexity", "x.txt", "--stride", "0")]
    [TestCase("perplexity", "x.txt", "--stride", "513")]
    [TestCase("perplexity", "x.txt", "--context", "100", "--stride", "101")]
    public void WrongUsageExitsWithTwoAndSaysWhy(params string[] args)
    {
        CommandLine run = CommandLine.Run(args).Expect(ExitCode.WrongUsage);

        Assert.That(run.Output, Is.Empty);
        Assert.That(run.Error, Does.StartWith("qwen: ").And.Not.Contain("   at "));
    }

    [Test]
    public void MessagesNameTheOptionItsValueAndTheRule()
    {
        string Error(params string[] args) => CommandLine.Run(["generate", .. args]).Error;

        Assert.That(Error("hi", "--top-p", "7"), Does.Contain("--top-p is '7'").And.Contain("above 0 and at most 1"));
        Assert.That(Error("hi", "--preset", "poetry"), Does.Contain("'poetry'").And.Contain("thinking or coding or non-thinking"));
        Assert.That(Error("hi", "--threads", "many"), Does.Contain("--threads is 'many'; it must be from 0 to 256"));
        Assert.That(Error("--gredy"), Does.Contain("unknown option --gredy"));
        Assert.That(Error("hi", "--device", "tpu"), Does.Contain("'tpu'").And.Contain("auto, cpu, cuda, or cuda:N with N from 0"));
    }

    [Test]
    public void HelpOfTheWholeNamesEveryCommand()
    {
        string help = CommandLine.Run("--help").Expect(ExitCode.Done).Output;

        foreach (string command in Commands)
            Assert.That(help, Does.Match($@"(?m)^  {command}\b"));
        Assert.That(help, Does.Contain("Examples:").And.Contain("130 interrupted"));
    }

    [TestCaseSource(nameof(Commands))]
    public void EveryCommandHasHelpWithExamples(string command)
    {
        CommandLine run = CommandLine.Run(command, "--help").Expect(ExitCode.Done);

        Assert.That(run.Output, Does.Contain($"qwen {command}").And.Contain("--model").And.Contain("--device"));
        Assert.That(run.Output.Split("Examples:")[1], Does.Contain($"qwen {command}"));
    }

    [Test]
    public void ExamplesParse()
    {
        // A renamed option would make an example wrong usage, before the model is missed.
        string[][] examples =
        [
            ["generate", "Reverse a string in C#.", "--preset", "coding"],
            ["generate", "--no-thinking", "--greedy", "--max-tokens", "64", "--json", "What is 7 + 5?"],
            ["generate", "--raw", "--ignore-eos", "--max-tokens", "100", "Once upon a time"],
            ["chat", "--system", "You are terse.", "--preset", "thinking"],
            ["bench", "--device", "cuda", "--prompt-tokens", "2048", "--decode-tokens", "256", "--runs", "10"],
        ];

        foreach (string[] example in examples)
            CommandLine.Run([.. example, "--model", "/no/such"]).Expect(ExitCode.Failed);
    }

    [TestCase("generate", "hi")]
    [TestCase("chat")]
    [TestCase("info")]
    [TestCase("bench")]
    [TestCase("tokenize", "--input", "-")]
    [TestCase("render", "--input", "-")]
    [TestCase("logits", "--input", "-", "--output", "x.safetensors")]
    [TestCase("perplexity", "-", "--context", "2048", "--stride", "512")]
    public void MissingModelDirectoryFailsAndSaysWhatToDo(params string[] args)
    {
        CommandLine run = CommandLine.RunWithInput("[]", [.. args, "--model", "/no/such/model"]).Expect(ExitCode.Failed);

        Assert.That(run.Output, Is.Empty);
        Assert.That(run.Error, Does.Contain("/no/such/model: no such directory").And.Contain("config.json").And.Not.Contain("   at "));
    }

    [Test]
    public void AFileIsNoModelDirectory() =>
        Assert.That(
            CommandLine.Run("info", "--model", Path.Combine(TestData.TinyModel, "config.json")).Expect(ExitCode.Failed).Error,
            Does.Contain("is a file").And.Contain("--model takes the directory"));

    [Test]
    public void ADirectoryWithoutCheckpointIsRefused() =>
        Assert.That(
            CommandLine.Run("info", "--model", TestData.Golden).Expect(ExitCode.Failed).Error,
            Does.Contain(TestData.Golden).And.Contain("config.json"));

    [Test]
    public void VerboseAddsTheStackTrace() =>
        Assert.That(CommandLine.Run("info", "--model", "/no/such/model", "--verbose").Expect(ExitCode.Failed).Error, Does.Contain("   at "));

    [Test]
    public void TheBuiltInModelIsAnnouncedInOneLine()
    {
        string[] lines = CommandLine.Run("info").Expect(ExitCode.Done).Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.That(lines, Has.Length.EqualTo(1));
        Assert.That(lines[0], Does.Contain("built-in test model").And.Contain("--model DIR"));
        Assert.That(CommandLine.Run("info", "--model", TestData.TinyModel).Error, Is.Empty);
    }
}
