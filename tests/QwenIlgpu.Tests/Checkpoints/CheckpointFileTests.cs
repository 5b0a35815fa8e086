using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Tests;

/// <summary>What lies in the place of a checkpoint's files, whichever it is.</summary>
internal sealed partial class CheckpointFileTests
{
    private static readonly string[] TextFiles =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
        "model.safetensors.index.json",
    ];

    private static readonly string[] AllFiles = [.. TextFiles, "model.safetensors", "model-00001-of-00002.safetensors"];

    // The known template's text is not at hand.
    private static IEnumerable<string> FilesOfACheckpoint => AllFiles.Where(name => name != "chat_template.jinja");

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateCheckpoint()
    {
        directory = new TemporaryDirectory();
        CheckpointDraft.WithTensors().WriteSharded(directory);
        SmallTokenizer.Write(directory, vocabulary: 300);
        File.WriteAllText(directory.File("generation_config.json"), """{"eos_token_id": 1}""");
    }

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void ReadsAWholeCheckpoint() => Open("model-00001-of-00002.safetensors");

    [Test, Combinatorial]
    public void RefusesWhatIsNoRegularFile(
        [ValueSource(nameof(AllFiles))] string name, [Values("pipe", "socket", "endless device", "null device", "directory")] string kind)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the type of a file is asked of Linux alone");
        string path = directory.File(name);
        File.Delete(path);
        string expected = "a directory";
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        switch (kind)
        {
            case "pipe":
                Assert.That(MakeFifo(path, 0x1A4), Is.Zero);
                expected = "a named pipe";
                break;
            case "socket":
                socket.Bind(new UnixDomainSocketEndPoint(path));
                expected = "a socket";
                break;
            case "directory":
                Directory.CreateDirectory(path);
                break;
            default:
                File.CreateSymbolicLink(path, kind == "null device" ? "/dev/null" : "/dev/zero");
                expected = "a character device";
                break;
        }

        // Only a reader that waits for the other end of a pipe would need the time.
        Task opening = Task.Run(() => Open(name));
        Assert.That(
            async () => await opening.WaitAsync(TimeSpan.FromSeconds(60)),
            Throws.TypeOf<InvalidDataException>().With.Message.EqualTo($"{path}: is {expected}, a regular file is expected"));
    }

    [TestCaseSource(nameof(FilesOfACheckpoint))]
    public void FollowsLinksToRegularFiles(string name)
    {
        string path = directory.File(name);
        if (!File.Exists(path))
            MoveToSingleFile();
        string blobs = Directory.CreateDirectory(directory.File("blobs")).FullName;
        File.Move(path, Path.Combine(blobs, "0123abcd"));
        File.CreateSymbolicLink(path, Path.Combine("blobs", "0123abcd"));
        Open(name);
    }

    [TestCaseSource(nameof(AllFiles))]
    public void NamesALinkToNothing(string name)
    {
        string path = directory.File(name);
        File.Delete(path);
        File.CreateSymbolicLink(path, "blobs/0123abcd");
        Assert.That(() => Open(name), Throws.TypeOf<FileNotFoundException>().With.Message.EqualTo($"{path}: is a link to blobs/0123abcd, which is not there"));
    }

    [TestCaseSource(nameof(AllFiles))]
    public void KnowsGitLfsPointers(string name) => Refuses(
        name, Encoding.ASCII.GetBytes("version https://git-lfs.github.com/spec/v1\noid sha256:" + new string('0', 64) + "\nsize 16020736\n"),
        "is a Git LFS pointer; run git lfs pull to fetch the file itself");

    [TestCaseSource(nameof(AllFiles))]
    public void KnowsHtmlPages(string name)
    {
        Refuses(name, "\n<!DOCTYPE html>\n<html><body>404</body></html>"u8.ToArray(), "is an HTML page, perhaps a download's error message; fetch the file again");
        Refuses(name, "\uFEFF<HTML lang=\"en\">"u8.ToArray(), "is an HTML page, perhaps a download's error message; fetch the file again");
    }

    [TestCaseSource(nameof(TextFiles))]
    public void RefusesOtherEncodings(string name)
    {
        Refuses(name, Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes("{}")).ToArray(), "is UTF-16 text, UTF-8 is expected");
        Refuses(name, Encoding.BigEndianUnicode.GetBytes("{ }"), "is UTF-16 text, UTF-8 is expected");
        Refuses(name, [(byte)'{', 0xFF, (byte)'}'], "its text is not valid UTF-8");
    }

    [TestCaseSource(nameof(TextFiles))]
    public void DoesNotCountAByteOrderMark(string name)
    {
        string path = directory.File(name);
        byte[] text = File.Exists(path) ? File.ReadAllBytes(path) : "{{ messages }}"u8.ToArray();
        File.WriteAllBytes(path, [.. Encoding.UTF8.Preamble, .. text]);
        Open(name);
    }

    [TestCaseSource(nameof(TextFiles))]
    public void LimitsTheSizeNamingBoth(string name)
    {
        string path = directory.File(name);
        using (FileStream stream = new(path, FileMode.Create))
            stream.SetLength(1L << 40);
        Assert.That(() => Open(name), Throws.TypeOf<InvalidDataException>().With.Message.StartsWith($"{path}: is 1099511627776 bytes long, at most "));
    }

    [TestCase("Entry not found", "is a text that begins \"Entry not found\", not a safetensors file")]
    [TestCase("{\"error\": \"Repository not found\"}", "is a text that begins \"{\"error\": \"Repository not found\"}\", not a safetensors file")]
    [TestCase("GGUF\u0003\0\0\0\0\0\0\0", "header length is 14")]
    public void KnowsTextsInPlaceOfTensors(string text, string fault) => Refuses("model.safetensors", Encoding.UTF8.GetBytes(text), fault);

    [TestCaseSource(nameof(TextFiles))]
    public void NamesLineAndColumn(string name)
    {
        if (name != "chat_template.jinja")
            Refuses(name, "{\n  \"é\": [1,\n  2\n}"u8.ToArray(), "not valid JSON: line 4, column 1: a comma or ] is expected, not \"}\"");
    }

    private void Refuses(string name, byte[] bytes, string fault)
    {
        string path = directory.File(name);
        File.WriteAllBytes(path, bytes);
        Assert.That(() => Open(name), Throws.TypeOf<InvalidDataException>().With.Message.StartsWith($"{path}: {fault}"));
    }

    // The file as its reader opens it: a single file of tensors is read where there is no index.
    private void Open(string name)
    {
        if (name == "model.safetensors")
            File.Delete(directory.File("model.safetensors.index.json"));
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        _ = TextParts.Load(
            directory.Path, 300, null, ModelParts.Tokenizer | ModelParts.Generation | ModelParts.EndIds | ModelParts.ChatTemplate, static _ => { });
    }

    private void MoveToSingleFile()
    {
        File.Delete(directory.File("model.safetensors.index.json"));
        CheckpointDraft.WithTensors().Write(directory);
        File.WriteAllText(directory.File("generation_config.json"), """{"eos_token_id": 1}""");
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeFifo(string path, uint mode);
}
