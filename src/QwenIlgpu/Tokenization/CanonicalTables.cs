using System.Globalization;
using System.Text;

namespace QwenIlgpu;

/// <summary>
/// Canonical decompositions, compositions and combining classes of Unicode 15.0.0, read once from CanonicalComposition.txt, which
/// CanonicalComposition.awk made.
/// </summary>
internal sealed class CanonicalTables
{
    // One flag a page of 256 code points: does any of them decompose or combine? Most of a text skips the dictionaries by it.
    private readonly bool[] pages = new bool[0x1100];
    private readonly Dictionary<int, int[]> decompositions = [];
    private readonly Dictionary<long, int> compositions = [];
    private readonly Dictionary<int, byte> classes = [];

    public static CanonicalTables Instance { get; } = new();

    private CanonicalTables()
    {
        using Stream stream = typeof(CanonicalTables).Assembly.GetManifestResourceStream("CanonicalComposition.txt")!;
        using StreamReader reader = new(stream, Encoding.ASCII);
        while (reader.ReadLine() is string line)
        {
            string[] fields = line.Split(' ');
            if (fields[0] == "K")
                AddClass(Code(fields[1]), Code(fields[2]), byte.Parse(fields[3], CultureInfo.InvariantCulture));
            else if (fields[0] is "C" or "D")
                AddMapping(Code(fields[1]), [.. fields[2..].Select(Code)], composes: fields[0] == "C");
        }

        foreach (int code in decompositions.Keys.ToArray())
            decompositions[code] = [.. decompositions[code].SelectMany(Decompose)];
    }

    /// <summary>Whether the page of this code point holds nothing that decomposes or combines.</summary>
    public bool IsInert(int code) => !pages[code >> 8];

    public byte CombiningClass(int code) => classes.GetValueOrDefault(code);

    /// <summary>The full canonical decomposition; null where the character stands for itself.</summary>
    public int[]? Decomposition(int code) => decompositions.GetValueOrDefault(code);

    public bool TryCompose(int first, int second, out int composed) => compositions.TryGetValue(Pair(first, second), out composed);

    private void AddClass(int first, int last, byte combiningClass)
    {
        for (int code = first; code <= last; code++)
        {
            classes[code] = combiningClass;
            pages[code >> 8] = true;
        }
    }

    private void AddMapping(int code, int[] mapping, bool composes)
    {
        decompositions[code] = mapping;
        pages[code >> 8] = true;
        if (!composes) return;

        compositions[Pair(mapping[0], mapping[1])] = code;
        pages[mapping[1] >> 8] = true;
    }

    private int[] Decompose(int code) => decompositions.TryGetValue(code, out int[]? mapping) ? [.. mapping.SelectMany(Decompose)] : [code];

    private static long Pair(int first, int second) => ((long)first << 32) | (uint)second;

    private static int Code(string hex) => int.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
