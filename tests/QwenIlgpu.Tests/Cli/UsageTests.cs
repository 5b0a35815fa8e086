using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>What the command line makes of its arguments before anything runs.</summary>
internal sealed class UsageTests
{
    private static readonly string[] Commands = ["generate", "chat", "info", "doctor", "bench", "tokenize", "render", "logits", "perplexity", "eval", "completion"];

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
    [TestCase("generate", "hello", "--kv-type", "int3")]
    [TestCase("generate", "hello", "--state-type", "int8")]
    [TestCase("generate", "hello", "--context", "-1")]
    [TestCase("generate", "hello", "--prefill-chunk", "100")]
    [TestCase("bench", "--prefill-chunk", "16384")]
    [TestCase("generate", "hello", "--rope-scaling", "yarn")]
    [TestCase("info", "--rope-scaling", "linear,factor=4")]
    [TestCase("logits", "--rope-scaling", "yarn,factor=0.5", "--input", "-", "--output", "x.safetensors")]
    [TestCase("generate", "hello", "--chat-template", "llama")]
    [TestCase("generate", "hello", "--template-option", "effort")]
    [TestCase("generate", "hello", "--template-option", "=low")]
    [TestCase("generate", "hello", "--template-option", "messages=[]")]
    [TestCase("generate", "hello", "--template-option", "a=1", "--template-option", "a=2")]
    [TestCase("generate", "hello", "--no-thinking", "--template-option", "enable_thinking=true")]
    [TestCase("generate", "hello", "--raw", "--template-option", "a=1")]
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
    [TestCase("generate", "hello", "--greedy", "--temperature", "1")]
    [TestCase("generate", "hello", "--raw", "--no-thinking")]
    [TestCase("generate", "hello", "--raw", "--system", "be brief")]
    [TestCase("generate", "hello", "--raw", "--tools", "tools.json")]
    [TestCase("generate", "--tools", "-")]
    [TestCase("generate", "-", "--tools", "-")]
    [TestCase("chat", "--on-full", "ask")]
    [TestCase("chat", "--thoughts", "hide")]
    [TestCase("info", "--context", "5000")]
    [TestCase("info", "--sequences", "2")]
    [TestCase("info", "--gpu-memory", "24GiB")]
    [TestCase("info", "--synthetic", "27b")]
    [TestCase("info", "--plan-picture", "x.svg")]
    [TestCase("info", "--plan", "--gpu-memory", "24")]
    [TestCase("info", "--plan", "--gpu-memory", "0GiB")]
    [TestCase("info", "--plan", "--gpu-memory", "-1GiB")]
    [TestCase("info", "--plan", "--gpu-memory", "1e3GiB")]
    [TestCase("info", "--plan", "--sequences", "65")]
    [TestCase("info", "--plan", "--synthetic", "27b", "--model", "x")]
    [TestCase("info", "--plan", "--synthetic", "0.8b", "--gpu-memory", "8GiB", "--context", "262145")]
    [TestCase("bench", "--runs", "4")]
    [TestCase("bench", "--decode-tokens", "0")]
    [TestCase("tokenize")]
    [TestCase("tokenize", "text", "--input", "-")]
    [TestCase("render")]
    [TestCase("logits", "--input", "-")]
    [TestCase("completion")]
    [TestCase("completion", "fish")]
    [TestCase("info", "--color", "blue")]
    [TestCase("eval")]
    [TestCase("eval", "kld", "--text", "x.txt")]
    [TestCase("eval", "kld", "--text", "x.txt", "--save", "x", "--reference", "y")]
    [TestCase("eval", "kld", "--save", "x")]
    [TestCase("eval", "kld", "--text", "x.txt", "--save", "x", "--tokens", "1")]
    [TestCase("eval", "recall", "--tokens", "10,0")]
    [TestCase("eval", "recall", "--samples", "17")]
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
        Assert.That(Error("hi", "--threads", "many"), Does.Contain("--threads is 'many'; it must be a whole number from 0 to 256"));
        Assert.That(Error("hi", "--max-tokens", "2147483648"), Does.Contain("--max-tokens is '2147483648'; it must be a whole number from 1 to 2147483647"));
        Assert.That(Error("hi", "--device", "tpu"), Does.Contain("'tpu'").And.Contain("auto, cpu, cuda, or cuda:N with N from 0"));
    }

    [TestCase("unknown command 'genrate' (did you mean generate?)", "genrate", "hi")]
    [TestCase("unknown command 'perp' (did you mean perplexity?)", "perp")]
    [TestCase("unknown command 'recal' (did you mean recall?)", "eval", "recal")]
    [TestCase("unknown command 'frobnicate'", "frobnicate", "--json=false")]
    [TestCase("a command is missing", "--device", "cpu")]
    [TestCase("unknown option --gredy (did you mean --greedy?)", "generate", "--gredy")]
    [TestCase("unknown option --temprature (did you mean --temperature?)", "generate", "hi", "--temprature=1")]
    [TestCase("unknown option --modle (did you mean --model?)", "info", "--modle", "DIR")]
    [TestCase("unknown option -model (did you mean --model?)", "info", "-model", "DIR")]
    [TestCase("unknown option --frob", "info", "--frob")]
    [TestCase("'surplus' is too much: info takes no argument", "info", "surplus")]
    [TestCase("'b' is too much: generate takes one argument, PROMPT; in quotes it may hold blanks", "generate", "a", "b", "c")]
    [TestCase("'--b' is too much: generate takes one argument, PROMPT; in quotes it may hold blanks", "generate", "--", "-a", "--b")]
    [TestCase("--input is missing: it takes FILE; --output is missing: it takes OUT.safetensors", "logits")]
    [TestCase("SHELL is missing: bash, zsh or pwsh", "completion")]
    [TestCase("[suggest:x] is no [suggest:POSITION] with a number", "[suggest:x]")]
    [TestCase("--model needs a value: DIR|ORG/NAME", "info", "--model")]
    [TestCase("--model is given 2 times; it takes one value", "info", "-m", "a", "--model", "b")]
    [TestCase("--temperature is given 2 times; it takes one value", "generate", "hi", "--greedy", "--temperature", "1", "--temperature", "2")]
    public void AFaultIsOneMessage(string message, params string[] args)
    {
        string command = args[0] is "genrate" or "perp" or "frobnicate" or "--device" or "[suggest:x]" ? "qwen" : $"qwen {args[0]}";

        Assert.That(CommandLine.Run(args).Expect(ExitCode.WrongUsage).Error, Is.EqualTo($"qwen: {message}; run '{command} --help'\n"));
    }

    [TestCase("--max-tokens", "max-token")]
    [TestCase("--greedy", "--greddy")]
    [TestCase("--seed", "--SEED")]
    [TestCase(null, "--x")]
    [TestCase(null, "--banana")]
    public void AMissIsNearWhereFewLettersDiffer(string? name, string given) =>
        Assert.That(NearMiss.Of(given, ["--greedy", "--seed", "--max-tokens", "--top-k"]), Is.EqualTo(name));

    [Test]
    public void ShortOptionsStandForTheLongOnes()
    {
        JsonElement answer = CommandLine.Run(
            ["generate", "hi", "-m", TestData.TinyModel, "-d", TestModels.Device.ToString(), "-n", "2", "-s", "Be brief.", "-j"]).Expect(ExitCode.Done).Json;

        Assert.That(answer.GetProperty("ids").GetArrayLength(), Is.EqualTo(2));
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
