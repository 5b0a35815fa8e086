using System.Text;

namespace QwenIlgpu;

/// <summary>
/// The text of a growing sequence of ids, a part at a time: never half a code point, and all parts together exactly what decoding the
/// whole sequence gives.
/// </summary>
internal sealed class StreamingDetokenizer(QwenTokenizer tokenizer, bool skipSpecial = false)
{
    // Keeps the bytes of a code point that has begun; what can never become one turns into U+FFFD at once.
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    /// <summary>The text that this id completes; empty while it only begins a code point.</summary>
    public string Append(int id) => Decode(tokenizer.Bytes(id, skipSpecial), flush: false);

    /// <summary>U+FFFD if the sequence ends within a code point; else nothing. What follows starts afresh.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        if (bytes.IsEmpty && !flush) return "";
        Span<char> text = bytes.Length < 120 ? stackalloc char[128] : new char[bytes.Length + 8];
        return new string(text[..decoder.GetChars(bytes, text, flush)]);
    }
}
