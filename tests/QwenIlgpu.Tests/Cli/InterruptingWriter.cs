using System.Text;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Keeps what is written, and does something once when the first of it comes: the moment at which a user presses Ctrl-C.</summary>
internal sealed class InterruptingWriter : TextWriter
{
    private readonly StringBuilder text = new();

    public Action? OnFirstWrite { get; set; }

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        text.Append(value);
        (Action? action, OnFirstWrite) = (OnFirstWrite, null);
        action?.Invoke();
    }

    public override string ToString() => text.ToString();
}
