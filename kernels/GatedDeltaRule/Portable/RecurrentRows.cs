using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The operands of the recurrent kernels, as the shares of both read them, whatever the state's type. y: [T, Hv · Dv]; state:
/// [slots, Hv · Dv · Dk]. Four value columns at a time go through all rows of a tile, whose queries and keys lie side by side in the thread's
/// own memory: in qkv they are whole pages apart. There a state of 16 bits is float for as long as a chunk lasts.
/// </summary>
internal readonly unsafe struct RecurrentRows
{
    private const int TileRows = 32;
    private const int Columns = 4;

    private readonly DeltaShape shape;
    private readonly Matrix<float> beta;
    private readonly Matrix<float> g;
    private readonly float* qkv;
    private readonly long qkvStride;
    private readonly float* y;
    private readonly long yStride;
    private readonly byte* states;
    private readonly long slotBytes;
    private readonly int columnBytes;
    private readonly DeltaStateFormat format;

    public RecurrentRows(
        DeltaRuleWords inputs, DeltaShape shape, void* states, long slotBytes, DeltaStateFormat format, Matrix<Float4> y)
    {
        (this.shape, beta, g, this.slotBytes, this.format) = (shape, inputs.Beta, inputs.G, slotBytes, format);
        qkv = (float*)CpuVectors.Pointer(inputs.Qkv.Data);
        qkvStride = inputs.Qkv.Stride * 4L;
        this.y = (float*)CpuVectors.Pointer(y.Data);
        yStride = y.Stride * 4L;
        this.states = (byte*)states;
        columnBytes = shape.KeyHeadDim * DeltaStates.ElementBytes(format);
    }

    /// <summary>Whether keys fill whole vectors.</summary>
    public static bool TakesShape(DeltaShape shape) => shape.KeyHeadDim % CpuVectors.Width == 0;

    /// <summary>The words of four columns that a thread takes of every sequence: whole cache lines of y.</summary>
    public CpuPart Words(int thread, int threads) => CpuPart.Of(shape.ValueChannels / Columns, 4, thread, threads);

    /// <summary>Zeros for these words of a slot.</summary>
    public void Clear(int slot, CpuPart words) =>
        new Span<byte>(State(slot, words.From), (words.To - words.From) * Columns * columnBytes).Clear();

    /// <summary>These words of one slot into another.</summary>
    public void Copy(int slot, int to, CpuPart words)
    {
        long bytes = (long)(words.To - words.From) * Columns * columnBytes;
        Buffer.MemoryCopy(State(slot, words.From), State(to, words.From), bytes, bytes);
    }

    /// <summary>Takes words of a slot through rows first … last − 1, the first one at a position of its sequence.</summary>
    public void Run(int slot, CpuPart words, int first, int last, int position)
    {
        int headWords = shape.ValueHeadDim / Columns;
        for (int word = words.From; word < words.To;)
        {
            int head = word / headWords;
            var ofHead = new CpuPart(word, Math.Min(words.To, (head + 1) * headWords));
            for (int row = first; row < last;)
            {
                int rows = Math.Min(last - row, ChunkList.RowsToBoundary(position + row - first));
                Chunk(slot, head, ofHead, row, rows);
                row += rows;
            }

            word = ofHead.To;
        }
    }

    private byte* State(int slot, int word) => states + (slot * slotBytes) + ((long)word * Columns * columnBytes);

    private void Chunk(int slot, int head, CpuPart words, int first, int rows)
    {
        int length = Columns * shape.KeyHeadDim;
        bool keepsFloats = format != DeltaStateFormat.F32;
        int kept = !keepsFloats ? 0 : rows > TileRows ? words.To - words.From : 1;
        float* qk = CpuVectors.Scratch((2L * TileRows * shape.KeyHeadDim) + (2 * TileRows) + ((long)kept * length));
        float* gates = qk + (2L * TileRows * shape.KeyHeadDim);
        float* floats = gates + (2 * TileRows);
        for (int row = 0; row < rows; row += TileRows)
        {
            int tileRows = Math.Min(TileRows, rows - row);
            Gather(head, first + row, tileRows, qk, gates);
            for (int word = words.From; word < words.To; word++)
            {
                byte* state = State(slot, word);
                float* s = keepsFloats ? floats + (kept > 1 ? (long)(word - words.From) * length : 0) : (float*)state;
                if (keepsFloats && row == 0)
                    Widen((ushort*)state, s, length);
                Advance(
                    s, shape.KeyHeadDim, qk, gates, tileRows, qkv + ((first + row) * qkvStride) + (2L * shape.KeyChannels) + (word * Columns),
                    qkvStride, y + ((first + row) * yStride) + (word * Columns), yStride);
                if (keepsFloats && row + tileRows == rows)
                    Narrow(s, (ushort*)state, length);
            }
        }
    }

    // Queries and keys of a tile's rows side by side, and of each row decay and β.
    private void Gather(int head, int first, int rows, float* qk, float* gates)
    {
        int keys = shape.KeyHeadDim;
        for (int t = 0; t < rows; t++)
        {
            float* q = qkv + ((first + t) * qkvStride) + (head / shape.Ratio * keys);
            float* to = qk + (2L * t * keys);
            Unsafe.CopyBlock(to, q, (uint)keys * sizeof(float));
            Unsafe.CopyBlock(to + keys, q + shape.KeyChannels, (uint)keys * sizeof(float));
            gates[2 * t] = MathF.Exp(g[first + t, head]);
            gates[(2 * t) + 1] = beta[first + t, head];
        }
    }

    private void Widen(ushort* from, float* to, int count)
    {
        if (format == DeltaStateFormat.F16)
            F16Vectors.Widen(from, to, count);
        else
            Bf16Share.Widen(from, to, count);
    }

    private void Narrow(float* from, ushort* to, int count)
    {
        if (format == DeltaStateFormat.F16)
            F16Vectors.Narrow(from, to, count);
        else
            Bf16Share.Round(from, to, count);
    }

    // Four columns of state through all rows. Each row: q | k in its place of qk, decay and β in gates, four values, four outputs.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Advance(float* s, int keys, float* qk, float* gates, int rows, float* v, long vStride, float* o, long oStride)
    {
        Vector128<float> read = Read(s, keys, qk + keys);
        for (int t = 0; t < rows; t++, qk += 2 * keys, gates += 2, v += vStride, o += oStride)
        {
            Vector128<float> d = (Vector128.Load(v) - (read * Vector128.Create(gates[0]))) * Vector128.Create(gates[1]);
            float* next = (t + 1 < rows ? qk + (2 * keys) : qk) + keys;
            read = Update(s, keys, qk, next, gates[0], d, o);
        }
    }

    // Sᵀ k of four columns.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Read(float* s, int keys, float* k)
    {
        Vector512<float> sum0 = default;
        Vector512<float> sum1 = default;
        Vector512<float> sum2 = default;
        Vector512<float> sum3 = default;
        for (float* end = k + keys; k < end; k += CpuVectors.Width, s += CpuVectors.Width)
        {
            var key = Vector512.Load(k);
            sum0 = Vector512.FusedMultiplyAdd(Vector512.Load(s), key, sum0);
            sum1 = Vector512.FusedMultiplyAdd(Vector512.Load(s + keys), key, sum1);
            sum2 = Vector512.FusedMultiplyAdd(Vector512.Load(s + (2 * keys)), key, sum2);
            sum3 = Vector512.FusedMultiplyAdd(Vector512.Load(s + (3 * keys)), key, sum3);
        }

        return CpuVectors.Sums(sum0, sum1, sum2, sum3);
    }

    // S ← e^g S + k dᵀ of four columns and o = Sᵀ q, keys behind the query. Returns Sᵀ k of the next row, summed as Read does.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Update(float* s, int keys, float* q, float* next, float decay, Vector128<float> d, float* o)
    {
        Vector512<float> o0 = default;
        Vector512<float> o1 = default;
        Vector512<float> o2 = default;
        Vector512<float> o3 = default;
        Vector512<float> r0 = default;
        Vector512<float> r1 = default;
        Vector512<float> r2 = default;
        Vector512<float> r3 = default;
        var factor = Vector512.Create(decay);
        var d0 = Vector512.Create(d.GetElement(0));
        var d1 = Vector512.Create(d.GetElement(1));
        var d2 = Vector512.Create(d.GetElement(2));
        var d3 = Vector512.Create(d.GetElement(3));
        for (float* end = q + keys; q < end; q += CpuVectors.Width, next += CpuVectors.Width, s += CpuVectors.Width)
        {
            var key = Vector512.Load(q + keys);
            var query = Vector512.Load(q);
            Vector512<float> s0 = Vector512.FusedMultiplyAdd(key, d0, Vector512.Load(s) * factor);
            Vector512<float> s1 = Vector512.FusedMultiplyAdd(key, d1, Vector512.Load(s + keys) * factor);
            Vector512<float> s2 = Vector512.FusedMultiplyAdd(key, d2, Vector512.Load(s + (2 * keys)) * factor);
            Vector512<float> s3 = Vector512.FusedMultiplyAdd(key, d3, Vector512.Load(s + (3 * keys)) * factor);
            o0 = Vector512.FusedMultiplyAdd(s0, query, o0);
            o1 = Vector512.FusedMultiplyAdd(s1, query, o1);
            o2 = Vector512.FusedMultiplyAdd(s2, query, o2);
            o3 = Vector512.FusedMultiplyAdd(s3, query, o3);
            s0.Store(s);
            s1.Store(s + keys);
            s2.Store(s + (2 * keys));
            s3.Store(s + (3 * keys));
            var nextKey = Vector512.Load(next);
            r0 = Vector512.FusedMultiplyAdd(s0, nextKey, r0);
            r1 = Vector512.FusedMultiplyAdd(s1, nextKey, r1);
            r2 = Vector512.FusedMultiplyAdd(s2, nextKey, r2);
            r3 = Vector512.FusedMultiplyAdd(s3, nextKey, r3);
        }

        CpuVectors.Sums(o0, o1, o2, o3).Store(o);
        return CpuVectors.Sums(r0, r1, r2, r3);
    }
}
