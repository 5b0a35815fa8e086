using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Runs the command line inside the test process, on the tests' device.</summary>
internal sealed class CommandLine
{
    private CommandLine(int exitCode, string output, string error) => (ExitCode, Output, Error) = (exitCode, output, error);

    public int ExitCode { get; }

    public string Output { get; }

    public string Error { get; }

    /// <summary>Standard output as the one JSON value that it must be.</summary>
    public JsonElement Json => JsonElement.Parse(Output);

    /// <summary>The option --device for the tests' device.</summary>
    public static string[] Device => ["--device", TestModels.Device.ToString()];

    /// <summary>A Hugging Face cache that is not there.</summary>
    public static HuggingFaceCache EmptyCache { get; } = new(Path.Combine(AppContext.BaseDirectory, "no", "hub"));

    public static CommandLine Run(params string[] args) => RunWithInput("", args);

    /// <summary>A command that runs the model.</summary>
    public static CommandLine RunModel(params string[] args) => RunWithInput("", [.. args, .. Device]);

    public static CommandLine RunWithInput(string input, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var terminal = new Terminal(new StringReader(input), output, error);
        int code = RunOn(terminal, args);
        return new CommandLine(code, output.ToString(), error.ToString());
    }

    public static int RunOn(Terminal terminal, params string[] args) => RunOn(terminal, QwenModel.LoadAsync, args);

    /// <summary>A command whose model comes from the test.</summary>
    public static int RunOn(Terminal terminal, ModelLoader load, params string[] args) => RunOn(terminal, load, EmptyCache, args);

    /// <summary>A command that looks for repositories in a cache of the test.</summary>
    public static CommandLine RunWithCache(HuggingFaceCache cache, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error);
        int code = RunOn(terminal, QwenModel.LoadAsync, cache, args);
        return new CommandLine(code, output.ToString(), error.ToString());
    }

    private static int RunOn(Terminal terminal, ModelLoader load, HuggingFaceCache cache, string[] args) =>
        QwenCommand.RunAsync(args, terminal, load, cache).GetAwaiter().GetResult();

    /// <summary>A command that must end before its model is loaded.</summary>
    public static CommandLine RunWithoutModel(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error);
        int code = RunOn(terminal, (_, _, _, _) => throw new NotSupportedException("the model was loaded"), args);
        return new CommandLine(code, output.ToString(), error.ToString());
    }

    /// <summary>Fails with everything the command said if its exit code is another.</summary>
    public CommandLine Expect(int exitCode)
    {
        Assert.That(ExitCode, Is.EqualTo(exitCode), $"stdout: {Output}\nstderr: {Error}");
        return this;
    }
}
