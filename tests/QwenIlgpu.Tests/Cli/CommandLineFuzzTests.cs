using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Whatever the arguments are: a known exit code, one line where it fails, no stack trace, no file but the one that is named.</summary>
[Platform("Linux,MacOsX")]
internal sealed class CommandLineFuzzTests
{
    private const int Vectors = 2000;
    private const int Processes = 40;
    private const string Text = "Long ago there lived a fox.";

    private static readonly string[] Inputs = ["", "hello\n", """[{"ids": [1, 2, 3]}]""", """["a", "b"]""", "[", "\0\ud800\n", "/exit\n"];

    private TemporaryDirectory directory = null!;
    private Socket socket = null!;

    [SetUp]
    public void CreateDirectory()
    {
        directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("ids.json"), """[{"ids": [1, 2, 3]}]""");
        File.WriteAllText(directory.File("texts.json"), """["a", "b"]""");
        File.WriteAllText(directory.File("chats.json"), """[{"messages": [{"role": "user", "content": "Hi"}]}]""");
        File.WriteAllText(directory.File("tools.json"), """[{"type": "function", "function": {"name": "f"}}]""");
        File.WriteAllText(directory.File("text.txt"), Text);
        File.WriteAllText(directory.File("broken.json"), "[1,\n\n");
        File.WriteAllBytes(directory.File("bytes"), [0xff, 0xfe, 0, 0xd8, 0, 0]);
        File.WriteAllText(directory.File("empty"), "");
        Directory.CreateDirectory(directory.File("folder"));
        File.CreateSymbolicLink(directory.File("link"), "text.txt");
        File.CreateSymbolicLink(directory.File("loop"), "loop");
        File.CreateSymbolicLink(directory.File("astray"), "no/such");
        File.CreateSymbolicLink(directory.File("device"), "/dev/null");
        socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(directory.File("socket")));
    }

    [TearDown]
    public void DeleteDirectory()
    {
        socket.Dispose();
        directory.Dispose();
    }

    [TestCase(12)]
    [TestCase(13, Category = "Exhaustive")]
    [TestCase(14, Category = "Exhaustive")]
    [TestCase(15, Category = "Exhaustive")]
    [TestCase(16, Category = "Exhaustive")]
    public void AnyArgumentsEndInOrder(int seed)
    {
        var vectors = new ArgumentVectors(seed, directory.Path);
        string[] before = Snapshot();
        var codes = new int[ExitCode.Interrupted + 1];
        int loads = 0;
        for (int i = 0; i < Vectors; i++)
        {
            string[] args = vectors.Next();
            using var output = new StringWriter();
            using var error = new StringWriter();
            using var terminal = new Terminal(new StringReader(Inputs[i % Inputs.Length]), output, error);
            Task<QwenModel> Refuse(string path, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellation)
            {
                if (loads++ % 10 == 0)
                    terminal.Interrupts.Raise();
                cancellation.ThrowIfCancellationRequested();
                throw new InvalidDataException("the loader\nrefuses");
            }

            int code = CommandLine.RunOn(terminal, Refuse, args);

            Check(i, args, code, error.ToString(), ExitCode.Done, ExitCode.Failed, ExitCode.WrongUsage, ExitCode.Interrupted);
            codes[code]++;
            TakeBack(args, code);
        }

        Assert.That(Snapshot(), Is.EqualTo(before));
        TestContext.Out.WriteLine($"{loads} came to the loader; {codes[0]} done, {codes[1]} failed, {codes[2]} wrong usage, {codes[^1]} interrupted");
        Assert.That(loads, Is.GreaterThan(Vectors / 5), "or the vectors go nowhere");
        Assert.That(codes[ExitCode.Done], Is.GreaterThan(Vectors / 20));
    }

    [Test]
    [Category("Exhaustive")]
    public void AnyArgumentsEndAProcessInOrder()
    {
        QwenProcess.Require();
        var vectors = new ArgumentVectors(40, directory.Path);
        string[] before = Snapshot();
        for (int i = 0; i < Processes;)
        {
            string[] args = vectors.Next();
            if (args.Any(a => a.Contains('\0', StringComparison.Ordinal)))
                continue;
            QwenProcess run = QwenProcess.RunScript(directory.Path, "exec \"$0\" \"$@\"", args);
            Check(i++, args, run.ExitCode, run.Error, ExitCode.Done, ExitCode.Failed, ExitCode.WrongUsage);
            TakeBack(args, run.ExitCode);
        }

        Assert.That(Snapshot(), Is.EqualTo(before));
    }

    // What was written because an option asked for it: a file, or what a link names.
    private void TakeBack(string[] args, int code)
    {
        File.Delete(directory.File("out"));
        if (code == ExitCode.Done && args.Any(a => a.EndsWith(directory.File("link"), StringComparison.Ordinal)))
            File.WriteAllText(directory.File("text.txt"), Text);
    }

    private static void Check(int vector, string[] args, int code, string error, params int[] allowed)
    {
        string shown = $"vector {vector}: {string.Join(' ', args.Select(a => $"'{a}'"))}\n{error}";
        Assert.That(code, Is.AnyOf(allowed), shown);
        if (args.Any(a => a.StartsWith("--verbose", StringComparison.Ordinal)))
            return;
        Assert.That(error, Does.Not.Contain("   at "), shown);
        Assert.That(error, Does.Not.Contain("unexpected "), shown);
        if (code == ExitCode.Done)
            return;
        Assert.That(error, Does.Match(@"\A(qwen: |\{)[^\p{Cc}\u2028\u2029]+\n\z"), shown);
        if (error[0] == '{')
            Assert.That(JsonElement.Parse(error).GetProperty("exit_code").GetInt32(), Is.EqualTo(code), shown);
    }

    // Every entry with its kind and contents but for what options may name.
    private string[] Snapshot() =>
    [
        .. Directory.GetFileSystemEntries(directory.Path, "*", SearchOption.AllDirectories)
            .Where(e => !e.StartsWith(directory.File("tiles"), StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(e => $"{e} {new FileInfo(e).LinkTarget ?? Contents(e)}"),
    ];

    private string Contents(string entry) => Directory.Exists(entry) || entry == directory.File("socket") ? "" : Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(entry)));
}
