using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// What the kernels of a test run left on the PTX machine or on a GPU, so that one can be held against the other.
/// <c>--test-parameter outputs=write:FILE</c> keeps it; <c>outputs=compare:FILE</c> compares with what another run kept, and writes
/// FILE.md. An output is known by its test and its number in it.
/// </summary>
internal sealed class OutputLog : IDisposable
{
    // Of larger outputs the beginning, to measure a difference by, and a hash of all, to find it.
    private const int KeptBytes = 1 << 16;

    private static readonly Lazy<OutputLog?> OfThisRun = new(() => Open(TestContext.Parameters.Get("outputs")));

    private readonly string file;
    private readonly BinaryWriter? writer;
    private readonly Dictionary<string, KeptOutput> expected = [];
    private readonly Dictionary<string, int> outputsOf = [];
    private readonly SortedSet<string> launched = new(StringComparer.Ordinal);
    private string? test;

    private OutputLog(string file, bool writes)
    {
        this.file = file;
        if (writes)
            writer = new BinaryWriter(File.Create(file));
        else
            Read();
    }

    /// <summary>Null where nobody asks for it.</summary>
    public static OutputLog? Current => OfThisRun.Value;

    public OutputComparison Comparison { get; } = new();

    /// <summary>Of <c>write:FILE</c> or <c>compare:FILE</c>; null of null.</summary>
    /// <exception cref="ArgumentException">It is neither.</exception>
    public static OutputLog? Open(string? parameter) => parameter?.Split(':', 2) switch
    {
        null => null,
        ["write", { Length: > 0 } file] => new OutputLog(file, writes: true),
        ["compare", { Length: > 0 } file] => new OutputLog(file, writes: false),
        _ => throw new ArgumentException($"outputs is '{parameter}'; it must be write:FILE or compare:FILE"),
    };

    public void Launched(string test, string kernel)
    {
        Begin(test);
        launched.Add(kernel);
    }

    /// <summary>An output of the test, and whether every kernel of the test so far computes nothing that a GPU may round otherwise.</summary>
    public void Left<T>(string test, T[] values, Func<string, bool> isExact)
        where T : unmanaged
    {
        Begin(test);
        if (launched.Count == 0)
            return;                                     // an input that is read back
        int number = outputsOf[test] = outputsOf.GetValueOrDefault(test) + 1;
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        var output = new KeptOutput(
            string.Join(", ", launched), typeof(T).Name, launched.All(isExact), bytes.Length, Convert.ToHexString(SHA256.HashData(bytes)),
            bytes[..Math.Min(bytes.Length, KeptBytes)].ToArray());
        string key = $"{test} #{number}";
        if (writer is not null)
            output.Write(writer, key);
        else if (expected.TryGetValue(key, out KeptOutput? other))
            Comparison.Add(key, other, output);
    }

    public void Dispose()
    {
        writer?.Dispose();
        if (writer is null)
            File.WriteAllText(file + ".md", Comparison.ToString());
    }

    private void Begin(string name)
    {
        if (test == name)
            return;
        test = name;
        launched.Clear();
    }

    private void Read()
    {
        using var reader = new BinaryReader(File.OpenRead(file));
        while (reader.BaseStream.Position < reader.BaseStream.Length)
        {
            (string key, KeptOutput output) = KeptOutput.Read(reader);
            expected[key] = output;
        }
    }
}

/// <summary>One output.</summary>
/// <param name="Kernels">What the test had launched until then.</param>
/// <param name="Element">Its elements' type.</param>
/// <param name="IsExact">Whether none of the kernels computes anything that another device may round otherwise.</param>
/// <param name="LengthBytes">Of all of it.</param>
/// <param name="Hash">Of all of it.</param>
/// <param name="Beginning">Its first bytes.</param>
internal sealed record KeptOutput(string Kernels, string Element, bool IsExact, int LengthBytes, string Hash, byte[] Beginning)
{
    public static (string Key, KeptOutput Output) Read(BinaryReader reader)
    {
        string key = reader.ReadString();
        return (key, new KeptOutput(
            reader.ReadString(), reader.ReadString(), reader.ReadBoolean(), reader.ReadInt32(), reader.ReadString(), reader.ReadBytes(reader.ReadInt32())));
    }

    public void Write(BinaryWriter writer, string key)
    {
        writer.Write(key);
        writer.Write(Kernels);
        writer.Write(Element);
        writer.Write(IsExact);
        writer.Write(LengthBytes);
        writer.Write(Hash);
        writer.Write(Beginning.Length);
        writer.Write(Beginning);
    }
}
