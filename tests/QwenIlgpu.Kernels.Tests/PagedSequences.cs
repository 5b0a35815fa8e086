using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Sequences of seeded keys and values, and a pool of pages in scattered order, NaN wherever nothing was appended. Sequence s has
/// slot s + 1; slot 0 and page 0 belong to padding rows.
/// </summary>
internal sealed class PagedSequences<TStorage, TFormat>
    where TStorage : unmanaged
    where TFormat : struct, INumberFormat<TStorage>
{
    private readonly TestDevice device;
    private readonly int heads;
    private readonly int kvHeads;
    private readonly int headDim;
    private readonly (float[] K, float[] V)[] sequences;
    private readonly ArrayView<TStorage> keys;
    private readonly ArrayView<TStorage> values;
    private readonly KvPages<TStorage> pages;

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

        long elements = (long)(ids.Length + 1) * kvHeads * KvCache.PageTokens * headDim;
        keys = device.Poisoned<TStorage>(elements);
        values = device.Poisoned<TStorage>(elements);
        pages = new KvPages<TStorage>(keys, values, ids.Length + 1, kvHeads, headDim);
        PageTable = device.Upload(Table.Cast<int>().ToArray(), Table.GetLength(0), Table.GetLength(1));
    }

    /// <summary>[slots, blocks]: page ids, 0 where there is none.</summary>
    public int[,] Table { get; }

    public Matrix<int> PageTable { get; }

    public TStorage[] Keys => device.Download(keys);

    public TStorage[] Values => device.Download(values);

    public int Length(int sequence) => sequences[sequence].K.Length / (kvHeads * headDim);

    /// <summary>Rows of a step, all of one sequence.</summary>
    public static (int Sequence, int Position)[] Rows(int sequence, int first, int count) =>
        [.. Enumerable.Range(first, count).Select(position => (sequence, position))];

    /// <summary>Appends rows in one launch; sequence −1 is a padding row.</summary>
    public void Append(params (int Sequence, int Position)[] rows)
    {
        int width = kvHeads * headDim;
        float[] k = [.. rows.SelectMany(r => r.Sequence < 0 ? new float[width] : sequences[r.Sequence].K[(r.Position * width)..((r.Position + 1) * width)])];
        float[] v = [.. rows.SelectMany(r => r.Sequence < 0 ? new float[width] : sequences[r.Sequence].V[(r.Position * width)..((r.Position + 1) * width)])];
        device.Run(KvAppend.Bind<TStorage, TFormat>(
            device.Loader, device.Upload(k, rows.Length, width), device.Upload(v, rows.Length, width), pages, Slots(rows), Positions(rows), PageTable));
    }

    /// <summary>Attention of rows in one launch. q: [T, H · 2 · Hd]; returns [T, H · Hd].</summary>
    public float[] Attend(float[] q, params (int Sequence, int Position)[] rows)
    {
        (int scratchRows, int scratchColumns) = GatedAttention.ScratchShape(rows.Length, heads);
        Matrix<float> y = device.Poisoned<float>(rows.Length, heads * headDim);
        device.Run(GatedAttention.Bind<TStorage, TFormat>(
            device.Loader, device.Upload(q, rows.Length, heads * 2 * headDim), pages, Slots(rows), Positions(rows), PageTable,
            heads, headDim, device.Poisoned<float>(scratchRows, scratchColumns), y));
        return device.Download(y);
    }

    /// <summary>The same by <see cref="DecodeAttention"/>, of bf16 pages; all tickets must be zero again behind it.</summary>
    public float[] AttendSplit<TPlaces>(float[] q, params (int Sequence, int Position)[] rows)
        where TPlaces : struct, IDecodeAttentionPlaces
    {
        var bf16 = (KvPages<ushort>)(object)pages;
        (int scratchRows, int scratchColumns) = DecodeAttention.ScratchShape(rows.Length, heads, headDim);
        Matrix<float> y = device.Poisoned<float>(rows.Length, heads * headDim);
        ArrayView<int> tickets = device.Upload(new int[DecodeAttention.Tickets(rows.Length, kvHeads)]);
        device.Run(DecodeAttention.Bind<TPlaces>(
            device.Loader, device.Upload(q, rows.Length, heads * 2 * headDim), bf16, Slots(rows), Positions(rows), PageTable,
            heads, device.Poisoned<float>(scratchRows, scratchColumns), tickets, y));
        Assert.That(device.Download(tickets), Has.All.Zero, "tickets");
        return device.Download(y);
    }

    /// <summary>Norms and turns q in place and appends the rows' keys, normed and turned, and values.</summary>
    public float[] NormTurnAppend(
        float[] q, ArrayView<float> qNorm, ArrayView<float> kNorm, RotaryView rotary, float eps, params (int Sequence, int Position)[] rows)
    {
        int width = kvHeads * headDim;
        float[] Of(Func<int, float[]> of) =>
            [.. rows.SelectMany(r => of(r.Sequence)[(r.Position * width)..((r.Position + 1) * width)])];
        Matrix<float> turned = device.Upload(q, rows.Length, heads * 2 * headDim);
        device.Run(QkNormRotaryAppend.Bind<TStorage, TFormat>(
            device.Loader, turned, device.Upload(Of(s => sequences[s].K), rows.Length, width),
            device.Upload(Of(s => sequences[s].V), rows.Length, width), heads, qNorm, kNorm, pages, Slots(rows), Positions(rows),
            PageTable, rotary, eps));
        return device.Download(turned);
    }

    /// <summary>The definition, over keys and values rounded to the pages' element type.</summary>
    public double[] Reference(float[] q, params (int Sequence, int Position)[] rows)
    {
        int width = heads * 2 * headDim;
        return [.. rows.SelectMany((r, row) => AttentionReference.Run(
            Array.ConvertAll(q[(row * width)..((row + 1) * width)], x => (double)x),
            Array.ConvertAll(sequences[r.Sequence].K, x => (double)TFormat.Load(TFormat.Store(x))),
            Array.ConvertAll(sequences[r.Sequence].V, x => (double)TFormat.Load(TFormat.Store(x))),
            [r.Position], heads, kvHeads, headDim))];
    }

    private ArrayView<int> Slots((int Sequence, int Position)[] rows) => device.Upload(Array.ConvertAll(rows, r => r.Sequence + 1));

    private ArrayView<int> Positions((int Sequence, int Position)[] rows) => device.Upload(Array.ConvertAll(rows, r => r.Position));
}
