using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>What keys make of a line, and what the window shows of it.</summary>
internal sealed class LineEditorTests
{
    private const string Left = "\e[D";
    private const string Up = "\e[A";
    private const string Down = "\e[B";
    private const string WordLeft = "\e[1;5D";
    private const string WordRight = "\e[1;5C";
    private const string Delete = "\e[3~";
    private const string Family = "👨‍👩‍👧";

    [TestCase("hello\r", "hello")]
    [TestCase("helo\e[Dl\r", "hello")]
    [TestCase("ello\x01h\x05!\r", "hello!")]
    [TestCase("one two" + WordLeft + "and \r", "one and two")]
    [TestCase("one, two" + WordLeft + WordLeft + WordRight + "!\r", "one!, two")]
    [TestCase("one two\x17three\r", "one three")]
    [TestCase("one two \x17three\r", "one three")]
    [TestCase("one two" + WordLeft + "\x0b\r", "one ")]
    [TestCase("one two" + WordLeft + "\x15\r", "two")]
    [TestCase("abc\x01" + Delete + "\r", "bc")]
    [TestCase("abc\x01\x04\r", "bc")]
    [TestCase("abc\x7f\x7f\r", "a")]
    [TestCase("\x7f" + Left + Delete + "\r", "")]
    [TestCase("e\u0301🦊漢" + Left + Left + "\x7f\r", "🦊漢")]
    [TestCase(Family + "x" + Left + "\x7f\r", "x")]
    [TestCase("one\\\rtwo\r", "one\ntwo")]
    [TestCase("one\\\\\r", @"one\\")]
    [TestCase("one\\" + Left + "\r", @"one\")]
    [TestCase("one\e\rtwo\r", "one\ntwo")]
    [TestCase("abc\e\rde" + Up + "X" + Down + Down + "Y\r", "abXc\ndeY")]
    [TestCase("abc\e\r\e\rde" + Up + Up + "X\r", "Xabc\n\nde", Description = "an empty line between has one place only")]
    [TestCase("one\e\rtwo\x15\x7f\r", "one")]
    [TestCase("one\e\rtwo" + Up + "\x0b\r", "one\ntwo")]
    [TestCase("\e[200~a\nb\r\e[201~c\r", "a\nb\nc")]
    [TestCase("lost\x03kept\r", "kept")]
    [TestCase("\e[15~\e[Za\tb\r", "ab")]
    public void KeysMakeTheLine(string keys, string line) => Assert.That(Read(keys), Is.EqualTo(line));

    [Test]
    public void CtrlDLeavesOnAnEmptyLineOnly()
    {
        Assert.That(Read("\x04"), Is.Null);
        Assert.That(Read("a\x04\r"), Is.EqualTo("a"));
        Assert.That(Read("never ended"), Is.Null);
    }

    [TestCase(Up + "\r", "second\nline")]
    [TestCase(Up + Up + Up + "\r", "first")]
    [TestCase(Up + Up + Up + Up + "\r", "first")]
    [TestCase("draft" + Up + Up + Up + Down + Down + Down + "!\r", "draft!")]
    [TestCase(Down + "\r", "")]
    public void UpAndDownGoThroughTheHistory(string keys, string line) => Assert.That(Read(keys, "first", "second\nline"), Is.EqualTo(line));

    [Test]
    public void WhatIsReadComesIntoTheHistory()
    {
        History history = HistoryOf("old");
        var editor = new LineEditor(KeyboardOf(new TypedKeys($"new\r{Up}{Up}\r")), TextWriter.Null, history);

        Assert.That((Next(editor), Next(editor)), Is.EqualTo(("new", "old")));
        Assert.That(history.Entries, Is.EqualTo(new[] { "old", "new", "old" }));
    }

    [Test]
    public void LongLinesWrapAndTheCursorFollows()
    {
        Screen screen = Shown("0123456789abcdefghij" + Left, columns: 10);

        Assert.That(screen.Rows, Is.EqualTo(new[] { "> 0123456", "789abcdef", "ghij" }));
        Assert.That(screen.Cursor, Is.EqualTo((2, 3)));
    }

    [Test]
    public void WideCharactersWrapWhole()
    {
        Screen screen = Shown("漢字漢字漢e\u0301🦊" + Left, columns: 10);

        Assert.That(screen.Rows, Is.EqualTo(new[] { "> 漢字漢", "字漢e\u0301🦊" }));
        Assert.That(screen.Cursor, Is.EqualTo((1, 5)));
    }

    [Test]
    public void ACharacterOfManyPartsTakesTwoColumns() => Assert.That(Shown(Family + "x").Cursor, Is.EqualTo((0, 5)));

    // Every key redraws: what was drawn before must be found again, whichever row the cursor was on.
    [Test]
    public void RedrawingLeavesNothingBehind()
    {
        Screen screen = Shown("0123456789abcdefghij\x01XY" + Delete + Delete + "\x05\x7f\x7f\x7f\x7f\x7f", columns: 10);

        Assert.That(screen.Text, Is.EqualTo(new[] { "> XY23456", "789abcde" }));
    }

    [Test]
    public void LinesOfATextStandBelowEachOther() =>
        Assert.That(Shown("one\e\rtwo\e\r\e\rfour").Rows, Is.EqualTo(new[] { "> one", "  two", "", "  four" }));

    [TestCase("", 2, "  c", "  d", "  e")]
    [TestCase(Up, 2, "  b", "  c", "  d")]
    [TestCase(Up + Up + Up + Up, 0, "> a", "  b", "  c")]
    public void ATextTallerThanTheWindowShowsThePartWithTheCursor(string keys, int cursorRow, params string[] rows)
    {
        Screen screen = Shown("a\\\rb\\\rc\\\rd\\\re" + keys, rows: 3);

        Assert.That(screen.Text, Is.EqualTo(rows));
        Assert.That(screen.Cursor.Row, Is.EqualTo(cursorRow));
    }

    [Test]
    public void ALineThatIsDoneStaysWhole()
    {
        var screen = new Screen(12, 3);
        var editor = new LineEditor(KeyboardOf(new TypedKeys("a\\\rb\\\rc\\\rd\r")) with { WindowSize = () => (12, 3) }, screen, HistoryOf());

        Assert.That(Next(editor), Is.EqualTo("a\nb\nc\nd"));
        Assert.That(screen.Text[^4..], Is.EqualTo(new[] { "> a", "  b", "  c", "  d" }));
        Assert.That((screen.Cursor.Column, screen.PastesAreMarked), Is.EqualTo((0, false)));
    }

    // What one drawing leaves behind, or where it takes the cursor wrongly, shows in the end.
    [Test]
    public void WhateverTheKeysTheWindowShowsTheText([Range(1, 40)] int seed)
    {
        string[] keys =
        [
            "a", "word ", "漢字", "🦊", Family, "e\u0301", "\e[200~x\ty\nz\e[201~", "\e\r", Left, "\e[C", WordLeft, WordRight, Up, Down, "\u0001", "\u0005",
            "\u007f", Delete, "\u0017", "\u000b", "\u0015", "0123456789",
        ];
        var random = new Random(seed);
        int columns = random.Next(8, 20);
        var screen = new Screen(columns, 200);
        var typed = new TypedKeys(string.Concat(Enumerable.Range(0, 60).Select(_ => keys[random.Next(keys.Length)])) + "\r", random.Next(1, 8));
        var editor = new LineEditor(KeyboardOf(typed) with { WindowSize = () => (columns, 200) }, screen, HistoryOf("first\nentry", "second"));

        string text = Next(editor)!;

        TextRows rows = TextRows.Of(text, 0, columns);
        Assert.That(screen.Rows, Is.EqualTo(rows.Rows.Select(r => r.TrimEnd()).Append("")));
        Assert.That(string.Concat(rows.Rows).Where(c => !char.IsWhiteSpace(c)), Is.EqualTo(("> " + text).Where(c => !char.IsWhiteSpace(c))));
        Assert.That(screen.Cursor, Is.EqualTo((rows.Rows.Count, 0)));
    }

    [Test]
    public void CtrlCOnAnEmptyLineSaysHowToLeave() => Assert.That(Shown("\u0003a").Text, Is.EqualTo(new[] { ">", "(/exit or Ctrl-D leaves)", "> a" }));

    [Test]
    public void CtrlLClearsTheWindow() => Assert.That(Shown("\u0003a\u000cb").Text, Is.EqualTo(new[] { "> ab" }));

    [Test]
    public void PastesAreMarkedWhileALineIsEdited() => Assert.That(Shown("a").PastesAreMarked);

    [Test]
    public void TheTerminalIsRawOnlyWhileALineIsEdited()
    {
        int raw = 0;
        bool wasRaw = false;
        var keys = new TypedKeys("") { OnEnd = () => wasRaw = raw == 1 };
        Keyboard keyboard = KeyboardOf(keys) with
        {
            EnterRaw = () =>
            {
                raw++;
                return new Leaving(() => raw--);
            },
        };

        _ = Next(new LineEditor(keyboard, TextWriter.Null, HistoryOf()));

        Assert.That((wasRaw, raw), Is.EqualTo((true, 0)));
    }

    private static string? Read(string keys, params string[] history) =>
        Next(new LineEditor(KeyboardOf(new TypedKeys(keys)), TextWriter.Null, HistoryOf(history)));

    private static string? Next(LineEditor editor) => editor.ReadAsync().AsTask().GetAwaiter().GetResult();

    // The window at the moment when all keys have been pressed.
    private static Screen Shown(string keys, int columns = 40, int rows = 24)
    {
        var drawing = new StringWriter();
        string drawn = "";
        var typed = new TypedKeys(keys);
        typed.OnEnd = () => drawn = drawing.ToString();
        _ = Next(new LineEditor(KeyboardOf(typed) with { WindowSize = () => (columns, rows) }, drawing, HistoryOf()));
        var screen = new Screen(columns, rows);
        screen.Write(drawn);
        return screen;
    }

    private static Keyboard KeyboardOf(TypedKeys keys) => new(keys, () => new Leaving(() => { }), () => (40, 24));

    private static History HistoryOf(params string[] entries)
    {
        History history = History.Open(null, Assert.Fail);
        foreach (string entry in entries)
            history.Add(entry);
        return history;
    }

    private sealed class Leaving(Action action) : IDisposable
    {
        public void Dispose() => action();
    }
}
