namespace QwenIlgpu.Kernels;

/// <summary>A 4-bit matrix as a checkpoint has it: words of codes, 16-bit scales, words of zero points (none: all 8).</summary>
internal sealed record Int4Source(int[] Words, ushort[] Scales, int[] Zeros);

/// <summary>
/// The packings of 4-bit checkpoints on the host, nibble by nibble: where a format keeps the code of (row, k), and scale and zero point of
/// (row, group). It turns sources into the INT4 layout and back.
/// </summary>
internal sealed class Int4SourceReference
{
    private static readonly int[] AwqNibbles = [0, 4, 1, 5, 2, 6, 3, 7];

    private readonly Func<int, int, int, int, (int Word, int Nibble)> code;
    private readonly Func<int, int, int, int, (int Word, int Nibble)> zero;
    private readonly Func<int, int, int, int, int> scale;
    private readonly Func<int, int, int> wordCount;
    private readonly int zeroWordOffset;

    // Arguments of the functions: row, k or group, rows, words of a row of eight k or groups.
    private Int4SourceReference(
        Func<int, int, int, int, (int Word, int Nibble)> code,
        Func<int, int, int, int, (int Word, int Nibble)> zero,
        Func<int, int, int, int, int> scale,
        Func<int, int, int> wordCount,
        int zeroWordOffset = 0) =>
        (this.code, this.zero, this.scale, this.wordCount, this.zeroWordOffset) = (code, zero, scale, wordCount, zeroWordOffset);

    /// <summary>qweight [K/8, N], scales [G, N], qzeros [G, ⌈N/8⌉] that are one less in every nibble, as words: with borrows.</summary>
    public static Int4SourceReference GptqV1 { get; } = Gptq(zeroWordOffset: 0x11111111);

    /// <summary>The same with qzeros as they are.</summary>
    public static Int4SourceReference GptqV2 { get; } = Gptq(zeroWordOffset: 0);

    /// <summary>qweight [K, ⌈N/8⌉], scales [G, N], qzeros [G, ⌈N/8⌉]; row 8c + j in nibble 0, 4, 1, 5, 2, 6, 3, 7 of j.</summary>
    public static Int4SourceReference Awq { get; } = new(
        (row, k, rows, _) => ((k * Words(rows)) + (row / 8), AwqNibbles[row % 8]),
        (row, group, rows, _) => ((group * Words(rows)) + (row / 8), AwqNibbles[row % 8]),
        (row, group, rows, _) => (group * rows) + row,
        (rows, columns) => columns * Words(rows));

    /// <summary>weight_packed [N, K/8], weight_scale [N, G], weight_zero_point [⌈N/8⌉, G].</summary>
    public static Int4SourceReference CompressedTensors { get; } = new(
        (row, k, _, words) => ((row * words) + (k / 8), k % 8),
        (row, group, _, groups) => ((row / 8 * groups) + group, row % 8),
        (row, group, _, groups) => (row * groups) + group,
        (rows, columns) => rows * Words(columns));

    /// <summary>The source in the INT4 layout.</summary>
    public Int4Reference Pack(Int4Source source, int rows, int columns, int groupSize)
    {
        var packed = new Int4Reference(rows, columns, groupSize, hasZeros: source.Zeros.Length > 0);
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
                packed.SetCode(row, k, Nibble(source.Words, code(row, k, rows, Words(columns))));
            for (int group = 0; group < packed.Groups; group++)
            {
                long index = Int4Layout.ScaleIndex(row, group, packed.Groups);
                packed.Scales[index] = source.Scales[scale(row, group, rows, packed.Groups)];
                if (source.Zeros.Length > 0)
                    packed.Zeros[index] = (byte)Zero(source, zero(row, group, rows, packed.Groups));
            }
        }

        return packed;
    }

    /// <summary>What the source was before <see cref="Pack"/>; nibbles of rows that are not there are 0.</summary>
    public Int4Source Unpack(Int4Reference packed)
    {
        (int rows, int columns, int groups) = (packed.Rows, packed.Columns, packed.Groups);
        bool hasZeros = packed.Zeros.Length > 0;
        var source = new Int4Source(
            new int[wordCount(rows, columns)], new ushort[rows * groups], new int[hasZeros ? Words(rows) * groups : 0]);
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < columns; k++)
                SetNibble(source.Words, code(row, k, rows, Words(columns)), packed.Code(row, k));
            for (int group = 0; group < groups; group++)
            {
                source.Scales[scale(row, group, rows, groups)] = packed.Scales[Int4Layout.ScaleIndex(row, group, groups)];
                if (hasZeros)
                    SetNibble(source.Zeros, zero(row, group, rows, groups), packed.ZeroOf(row, group));
            }
        }

        int[] zeros = [.. source.Zeros.Select(word => unchecked(word - zeroWordOffset))];
        foreach ((int word, int nibble) in Absent(rows, groups, hasZeros))
            zeros[word] &= ~(15 << (4 * nibble));
        return source with { Zeros = zeros };
    }

    /// <summary>The weights [rows, columns] that the source stands for, without any other layout between.</summary>
    public double[] Weights(Int4Source source, WeightType scaleType, int rows, int columns, int groupSize)
    {
        int groups = Int4Layout.Groups(columns, groupSize);
        var weights = new double[rows * columns];
        for (int i = 0; i < weights.Length; i++)
        {
            (int row, int k) = (i / columns, i % columns);
            int group = k / groupSize;
            int about = source.Zeros.Length == 0
                ? Int4Layout.Zero
                : Zero(source, zero(row, group, rows, groups));
            double step = Scale16.ToFloat(source.Scales[scale(row, group, rows, groups)], scaleType);
            weights[i] = step * (Nibble(source.Words, code(row, k, rows, Words(columns))) - about);
        }

        return weights;
    }

    // Nibbles of zero points whose rows are not there.
    private IEnumerable<(int Word, int Nibble)> Absent(int rows, int groups, bool hasZeros) =>
        from row in Enumerable.Range(rows, hasZeros ? (8 * Words(rows)) - rows : 0)
        from @group in Enumerable.Range(0, groups)
        select zero(row, @group, rows, groups);

    private int Zero(Int4Source source, (int Word, int Nibble) at) =>
        (unchecked(source.Zeros[at.Word] + zeroWordOffset) >>> (4 * at.Nibble)) & 15;

    private static Int4SourceReference Gptq(int zeroWordOffset) => new(
        (row, k, rows, _) => ((k / 8 * rows) + row, k % 8),
        (row, group, rows, _) => ((group * Words(rows)) + (row / 8), row % 8),
        (row, group, rows, _) => (group * rows) + row,
        (rows, columns) => Words(columns) * rows,
        zeroWordOffset);

    private static int Words(int count) => (count + 7) / 8;

    private static int Nibble(int[] words, (int Word, int Nibble) at) => (words[at.Word] >>> (4 * at.Nibble)) & 15;

    private static void SetNibble(int[] words, (int Word, int Nibble) at, int value) => words[at.Word] |= (value & 15) << (4 * at.Nibble);
}
