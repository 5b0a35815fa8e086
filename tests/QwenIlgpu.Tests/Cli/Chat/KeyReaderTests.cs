using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>Keys are told apart however their bytes arrive.</summary>
internal sealed class KeyReaderTests
{
    [TestCase("\x01", KeyKind.Home)]
    [TestCase("\x05", KeyKind.End)]
    [TestCase("\x0b", KeyKind.EraseToEnd)]
    [TestCase("\x15", KeyKind.EraseToStart)]
    [TestCase("\x17", KeyKind.EraseWord)]
    [TestCase("\x03", KeyKind.Interrupt)]
    [TestCase("\x04", KeyKind.EndOfInput)]
    [TestCase("\x0c", KeyKind.Redraw)]
    [TestCase("\x7f", KeyKind.Backspace)]
    [TestCase("\b", KeyKind.Backspace)]
    [TestCase("\r", KeyKind.Enter)]
    [TestCase("\n", KeyKind.Enter)]
    [TestCase("\e\r", KeyKind.NewLine)]
    [TestCase("\e\x7f", KeyKind.EraseWord)]
    [TestCase("\e[A", KeyKind.Up)]
    [TestCase("\eOB", KeyKind.Down)]
    [TestCase("\e[C", KeyKind.Right)]
    [TestCase("\eOD", KeyKind.Left)]
    [TestCase("\e[1;5C", KeyKind.WordRight)]
    [TestCase("\e[1;3D", KeyKind.WordLeft)]
    [TestCase("\eb", KeyKind.WordLeft)]
    [TestCase("\ef", KeyKind.WordRight)]
    [TestCase("\e[H", KeyKind.Home)]
    [TestCase("\e[1~", KeyKind.Home)]
    [TestCase("\eOF", KeyKind.End)]
    [TestCase("\e[4~", KeyKind.End)]
    [TestCase("\e[3~", KeyKind.Delete)]
    [TestCase("\e[15~", KeyKind.Unknown)]
    [TestCase("\e[<0;3;4M", KeyKind.Unknown)]
    [TestCase("\t", KeyKind.Unknown)]
    [TestCase("\u0085", KeyKind.Unknown)]
    [TestCase("\e", KeyKind.Unknown)]
    public void NamesKeys(string bytes, KeyKind kind)
    {
        foreach (int atOnce in new[] { 1, 100 })
        {
            var keys = new KeyReader(new TypedKeys(bytes + "x", atOnce));
            bool swallowsNext = bytes == "\e";

            Assert.That(keys.Read().Kind, Is.EqualTo(kind));
            Assert.That(keys.Read(), Is.EqualTo(swallowsNext ? new Key(KeyKind.Closed) : new Key(KeyKind.Text, "x")));
        }
    }

    [Test]
    public void TextThatArrivesTogetherIsOneKey() =>
        Assert.That(new KeyReader(new TypedKeys("añ漢🦊\r", 100)).Read(), Is.EqualTo(new Key(KeyKind.Text, "añ漢🦊")));

    [Test]
    public void CharactersAreWholeHoweverTheirBytesArrive()
    {
        var keys = new KeyReader(new TypedKeys("漢🦊", 1));

        Assert.That((keys.Read().Text, keys.Read().Text, keys.Read().Kind), Is.EqualTo(("漢", "🦊", KeyKind.Closed)));
    }

    [TestCase("two\r\nlines\rand\nmore", "two\nlines\nand\nmore")]
    [TestCase("\e[31mred\e[0m\x03\x04", "[31mred[0m")]
    [TestCase("a\tb~c~", "a\tb~c~")]
    public void APasteIsTextWhateverItHolds(string pasted, string text)
    {
        var keys = new KeyReader(new TypedKeys($"\e[200~{pasted}\e[201~\r"));

        Assert.That(keys.Read(), Is.EqualTo(new Key(KeyKind.Text, text)));
        Assert.That(keys.Read().Kind, Is.EqualTo(KeyKind.Enter));
    }

    [Test]
    public void APasteMayBeLongerThanWhatIsReadAtOnce()
    {
        string text = string.Concat(Enumerable.Repeat("0123456789 ä\n", 2000));

        Assert.That(new KeyReader(new TypedKeys($"\e[200~{text}\e[201~", 4096)).Read().Text, Is.EqualTo(text));
    }
}
