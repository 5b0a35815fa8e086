using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// A shared object for x64 Linux made in memory: each of its functions is one jump through a table that the process fills after it has
/// loaded it. Once loaded, whoever asks for a library of its name gets it.
/// </summary>
internal static partial class SharedObject
{
    public const string Table = "table";

    private const int PageBytes = 4096;
    private const int HeaderBytes = 64;
    private const int SegmentBytes = 56;
    private const int Segments = 4;
    private const int SymbolBytes = 24;
    private const int StubBytes = 8;
    private const int TableEntryBytes = 8;

    private const uint CloseOnExec = 1;

    /// <summary>
    /// Loads an object of this name whose functions have these names; their table is its symbol <see cref="Table"/>. Its descriptor stays
    /// open: the loader knows the object by its path as well, and would take a later file of that number for it.
    /// </summary>
    public static nint Load(string name, IReadOnlyList<string> functions)
    {
        int descriptor = CreateMemoryFile(name, CloseOnExec);
        if (descriptor < 0)
            throw new InvalidOperationException($"memfd_create failed: {Marshal.GetLastPInvokeErrorMessage()}");
        string path = $"/proc/self/fd/{descriptor}";
        File.WriteAllBytes(path, Image(name, functions));
        return NativeLibrary.Load(path);
    }

    // The file: a page-aligned part that is read (headers, symbols), one that runs (jumps), one that is written (table).
    private static byte[] Image(string name, IReadOnlyList<string> functions)
    {
        byte[] strings = Strings([name, .. functions, Table], out int[] names);
        int hash = HeaderBytes + (Segments * SegmentBytes);
        int symbolCount = functions.Count + 2;
        int symbols = Align(hash + (4 * (3 + symbolCount)), 8);
        int text = symbols + (symbolCount * SymbolBytes);
        int code = Align(text + strings.Length, PageBytes);
        int table = Align(code + (functions.Count * StubBytes), PageBytes);
        int dynamic = table + (functions.Count * TableEntryBytes);
        (long Tag, long Value)[] entries =
            [(14, names[0]), (4, hash), (5, text), (6, symbols), (10, strings.Length), (11, SymbolBytes), (0, 0)];
        int end = dynamic + (16 * entries.Length);

        using var file = new MemoryStream();
        using var writer = new BinaryWriter(file);
        WriteHeader(writer);
        WriteSegment(writer, 1, 4, 0, text + strings.Length);           // loaded: read
        WriteSegment(writer, 1, 5, code, functions.Count * StubBytes);  // loaded: read, run
        WriteSegment(writer, 1, 6, table, end - table);                 // loaded: read, written
        WriteSegment(writer, 2, 6, dynamic, end - dynamic);             // the dynamic section
        WriteHash(writer, symbolCount);
        Pad(writer, symbols + SymbolBytes);
        for (int i = 0; i < functions.Count; i++)
            WriteSymbol(writer, names[i + 1], 0x12, code + (i * StubBytes), StubBytes);
        WriteSymbol(writer, names[^1], 0x11, table, functions.Count * TableEntryBytes);
        writer.Write(strings);
        for (int i = 0; i < functions.Count; i++)
        {
            Pad(writer, code + (i * StubBytes));
            writer.Write((ReadOnlySpan<byte>)[0xff, 0x25]);             // jmp [rip + distance], 6 bytes
            writer.Write(table + (i * TableEntryBytes) - (code + (i * StubBytes) + 6));
        }

        Pad(writer, dynamic);
        foreach ((long tag, long value) in entries)
        {
            writer.Write(tag);
            writer.Write(value);
        }

        return file.ToArray();
    }

    private static void WriteHeader(BinaryWriter writer)
    {
        writer.Write((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.Write((ushort)3);                // a shared object
        writer.Write((ushort)62);               // x64
        writer.Write(1);
        writer.Write(0L);                       // no entry
        writer.Write((long)HeaderBytes);        // segments
        writer.Write(0L);                       // no sections
        writer.Write(0);
        foreach (int value in new[] { HeaderBytes, SegmentBytes, Segments, 0, 0, 0 })
            writer.Write((ushort)value);
    }

    private static void WriteSegment(BinaryWriter writer, int type, int access, long start, long bytes)
    {
        writer.Write(type);
        writer.Write(access);
        foreach (long value in new[] { start, start, start, bytes, bytes, type == 1 ? PageBytes : 8 })
            writer.Write(value);
    }

    // One bucket whose chain is every symbol.
    private static void WriteHash(BinaryWriter writer, int symbols)
    {
        foreach (int value in new[] { 1, symbols, 1, 0 })
            writer.Write(value);
        for (int i = 1; i < symbols; i++)
            writer.Write((i + 1) % symbols);
    }

    private static void WriteSymbol(BinaryWriter writer, int name, byte kind, long address, long bytes)
    {
        writer.Write(name);
        writer.Write(kind);
        writer.Write((byte)0);
        writer.Write((ushort)1);                // any section: defined
        writer.Write(address);
        writer.Write(bytes);
    }

    private static byte[] Strings(IEnumerable<string> texts, out int[] offsets)
    {
        var bytes = new List<byte> { 0 };
        var starts = new List<int>();
        foreach (string text in texts)
        {
            starts.Add(bytes.Count);
            bytes.AddRange(Encoding.ASCII.GetBytes(text));
            bytes.Add(0);
        }

        offsets = [.. starts];
        return [.. bytes];
    }

    private static void Pad(BinaryWriter writer, int offset) => writer.Write(new byte[offset - (int)writer.BaseStream.Position]);

    private static int Align(int value, int alignment) => (value + alignment - 1) / alignment * alignment;

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateMemoryFile(string name, uint flags);
}
