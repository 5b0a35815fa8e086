using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Sequences of seeded keys and values, and a pool of pages in scattered order, NaN wherever nothing was appended. Sequence s has
/// slot s + 1; slot 0 and page 0 belong to padding rows.
/// </summary>
internal sealed class PagedSequences<TKeys, TValues>
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    private readonly TestDevice device;
    private readonly int heads;
    private readonly int kvHeads;
    private readonly int headDim;
    private readonly (float[] K, float[] V)[] sequences;

    public PagedSequences(
        TestDevice device, int heads, int kvHeads, int headDim, (float[] K, float[] V)[] sequences, int seed)
    {
        this.device = device;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.sequences = sequences;
        int[] blocks = [.. sequences.Select((_, s) => (Length(s) + KvCache.PageTokens - 1) / KvCache.PageTokens)];
        int[] ids = [.. Enumerable.Range(1, blocks.Sum() + 2)];
        new Random(seed).Shuffle(ids);

        Table = new int[sequences.Length + 1, blocks.Max() + 1];
        int next = 0;
        for (int s = 0; s < sequences.Length; s++)
        {
            for (int block = 0; block < blocks[s]; block++)
                Table[s + 1, block] = ids[next++];
        }

        Pages = Poisoned(device, ids.Length + 1, kvHeads, headDim);
        PageTable = device.Upload(Table.Cast<int>().ToArray(), Table.GetLength(0), Table.GetLength(1));
        (Keys, Values) = (device.Download(Pages.Keys), device.Download(Pages.Values));
    }

    /// <summary>[slots, blocks]: page ids, 0 where there is none.</summary>
    public int[,] Table { get; }

    public Matrix<int> PageTable { get; }

    public KvPages<TKeys, TValues> Pages { get; }

    /// <summary>All key pages as the last append left them: what is expected is asked for when the device has let them go.</summary>
    public UInt4[] Keys { get; private set; }

    /// <summary>The same of all value pages.</summary>
    public UInt4[] Values { get; private set; }

    public int Length(int sequence) => sequences[sequence].K.Length / (kvHeads * headDim);

    /// <summary>Pages full of NaN.</summary>
    public static KvPages<TKeys, TValues> Poisoned(TestDevice device, int pages, int kvHeads, int headDim) => new(
        device.Poisoned<UInt4>((long)pages * kvHeads * PageBlock.Words<TKeys>(headDim)),
        device.Poisoned<UInt4>((long)pages * kvHeads * PageBlock.Words<TValues>(headDim)), pages, kvHeads, headDim);

    /// <summary>Rows of a step, all of one sequence.</summary>
    public static (int Sequence, int Position)[] Rows(int sequence, int first, int count) =>
        [.. Enumerable.Range(first, count).Select(position => (sequence, position))];

    /// <summary>On the device every sequence's block is the page of another block from now on.</summary>
    public void NamePage(int block, int asThatOf)
    {
        for (int s = 0; s < sequences.Length; s++)
        {
            PageTable.Row(s + 1).SubView(block, 1).CopyFromCPU(device.Stream, [Table[s + 1, asThatOf]]);
            device.Stream.Synchronize();
        }
    }

    /// <summary>Appends rows in one launch; sequence −1 is a padding row.</summary>
    public void Append(params (int Sequence, int Position)[] rows)
    {
        int width = kvHeads * headDim;
        float[] k = [.. rows.SelectMany(r => r.Sequence < 0 ? new float[width] : sequences[r.Sequence].K[(r.Position * width)..((r.Position + 1) * width)])];
        float[] v = [.. rows.SelectMany(r => r.Sequence < 0 ? new float[width] : sequences[r.Sequence].V[(r.Position * width)..((r.Position + 1) * width)])];
        device.Run(KvAppend.Bind<TKeys, TValues>(
            device.Loader, device.Upload(k, rows.Length, width), device.Upload(v, rows.Length, width), Pages, Rows(rows)));
        (Keys, Values) = (device.Download(Pages.Keys), device.Download(Pages.Values));
    }

    /// <summary>Attention of rows in one launch. q: [T, H · 2 · Hd]; returns [T, H · Hd].</summary>
    public float[] Attend(float[] q, params (int Sequence, int Position)[] rows)
    {
        Matrix<float> y = device.Poisoned<float>(rows.Length, heads * headDim);
        device.Run(BindAttention(q, rows, y));
        return device.Download(y);
    }

    /// <summary>The same by whoever runs launches in parts and compares what they leave.</summary>
    public float[] AttendInParts(Func<Func<Launch[]>, Func<float[]>, float[]> run, float[] q, params (int Sequence, int Position)[] rows)
    {
        Matrix<float> y = default;
        return run(
            () => [BindAttention(q, rows, y = device.Poisoned<float>(rows.Length, heads * headDim))], () => device.Download(y));
    }

    /// <summary>The definition, over keys and values as the pages hold them.</summary>
    public double[] Reference(float[] q, params (int Sequence, int Position)[] rows) =>
        Reference(Seeded.ToDouble(q), value => value, rows);

    /// <summary>The same of something made of the stored values.</summary>
    public double[] Reference(double[] q, Func<double, double> ofValue, params (int Sequence, int Position)[] rows)
    {
        double[] OfStored(int sequence) => Array.ConvertAll(Stored<TValues>(Values, sequence, StoredRow.Read<TValues>), x => ofValue(x));
        return Reference(q, OfStored, rows);
    }

    /// <summary>
    /// Σ of a row's weights times |what tensor cores multiply them with|, times the gate: values, or codes less their centre with their scale.
    /// </summary>
    public double[] ProductMagnitude(double[] q, params (int Sequence, int Position)[] rows) =>
        Reference(q, sequence => Array.ConvertAll(Stored<TValues>(Values, sequence, StoredRow.ReadCentred<TValues>), Math.Abs), rows);

    /// <summary>Σ of a row's weights times |value|, times the gate: what the errors of its outputs are shares of.</summary>
    public double[] Magnitude(float[] q, params (int Sequence, int Position)[] rows) => Reference(Seeded.ToDouble(q), Math.Abs, rows);

    /// <summary>What the pages hold of a sequence: keys and values [L, Hkv · Hd], NaN where nothing was appended.</summary>
    public (double[] K, double[] V) StoredOf(int sequence) =>
        (Stored<TKeys>(Keys, sequence, StoredRow.Read<TKeys>), Stored<TValues>(Values, sequence, StoredRow.Read<TValues>));

    /// <summary>
    /// Of each row and head the largest Σ|q·k| / sqrt(Hd), over all keys of the row's sequence: [T, H]. Of keys that lie turned, q is turned too.
    /// </summary>
    public double[] ScoreMagnitude(float[] q, params (int Sequence, int Position)[] rows)
    {
        var most = new double[rows.Length * heads];
        var stored = new Dictionary<int, double[]>();
        for (int i = 0; i < most.Length; i++)
        {
            int sequence = rows[i / heads].Sequence;
            if (!stored.TryGetValue(sequence, out double[]? k))
                stored[sequence] = k = Stored<TKeys>(Keys, sequence, StoredRow.ReadTurned<TKeys>);
            double[] query = [.. q.Skip(i * 2 * headDim).Take(headDim).Select(x => (double)x)];
            if (TKeys.IsQuantized)
                query = StoredRow.Turned(query);
            int kvHead = i % heads / (heads / kvHeads);
            for (int key = 0; key <= rows[i / heads].Position; key++)
            {
                double sum = 0;
                for (int d = 0; d < headDim; d++)
                    sum += Math.Abs(query[d] * k[(((key * kvHeads) + kvHead) * headDim) + d]);
                most[i] = Math.Max(most[i], sum / Math.Sqrt(headDim));
            }
        }

        return most;
    }

    public PagedRows Rows((int Sequence, int Position)[] rows) => new(
        device.Upload(Array.ConvertAll(rows, r => r.Sequence + 1)), device.Upload(Array.ConvertAll(rows, r => r.Position)), PageTable);

    private Launch BindAttention(float[] q, (int Sequence, int Position)[] rows, Matrix<float> y)
    {
        (int scratchRows, int scratchColumns) = GatedAttention.ScratchShape<TKeys>(rows.Length, heads, headDim);
        return GatedAttention.Bind<TKeys, TValues>(
            device.Loader, device.Upload(q, rows.Length, heads * 2 * headDim), Pages, Rows(rows), heads,
            device.Poisoned<float>(scratchRows, scratchColumns), y);
    }

    private double[] Reference(double[] q, Func<int, double[]> valuesOf, (int Sequence, int Position)[] rows)
    {
        int width = heads * 2 * headDim;
        var stored = new Dictionary<int, (double[] K, double[] V)>();
        return [.. rows.SelectMany((r, row) =>
        {
            if (!stored.TryGetValue(r.Sequence, out (double[] K, double[] V) of))
                stored[r.Sequence] = of = (Stored<TKeys>(Keys, r.Sequence, StoredRow.Read<TKeys>), valuesOf(r.Sequence));
            return AttentionReference.Run(q[(row * width)..((row + 1) * width)], of.K, of.V, [r.Position], heads, kvHeads, headDim);
        })];
    }

    private double[] Stored<TFormat>(UInt4[] pages, int sequence, StoredRow.Reader read)
        where TFormat : struct, IPageFormat =>
        [.. Enumerable.Range(0, Length(sequence) * kvHeads).SelectMany(i => read(
            StoredRow.Block<TFormat>(pages, kvHeads, headDim, Table[sequence + 1, i / kvHeads / KvCache.PageTokens], i % kvHeads),
            headDim, i / kvHeads % KvCache.PageTokens))];
}
