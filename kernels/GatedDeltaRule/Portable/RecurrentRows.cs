using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The operands of the recurrent kernels, as the shares of both read them, whatever the state's type. y: [T, Hv · Dv]; state:
/// [slots, Hv · Dv · Dk] float or f16. Four value columns at a time go through all rows of a tile, whose queries
/// and keys lie side by side in the thread's own memory: in qkv they are whole pages apart.
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
    private readonly bool isF16;

    public RecurrentRows(
        DeltaRuleWords inputs, DeltaShape shape, void* states, long slotBytes, bool isF16, Matrix<Float4> y)
    {
        (this.shape, beta, g, this.slotBytes, this.isF16) = (shape, inputs.Beta, inputs.G, slotBytes, isF16);
        qkv = (float*)CpuVectors.Pointer(inputs.Qkv.Data);
        qkvStride = inputs.Qkv.Stride * 4L;
        this.y = (float*)CpuVectors.Pointer(y.Data);
        yStride = y.Stride * 4L;
        this.states = (byte*)states;
        columnBytes = shape.KeyHeadDim * (isF16 ? sizeof(ushort) : sizeof(float));
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

    /// <summary>Takes words of a slot through rows first … last − 1.</summary>
    public void Run(int slot, CpuPart words, int first, int last)
    {
        int headWords = shape.ValueHeadDim / Columns;
        for (int word = words.From; word < words.To;)
        {
            int head = word / headWords;
            int end = Math.Min(words.To, (head + 1) * headWords);
            for (int row = first; row < last; row += TileRows)
                Tile(slot, head, new CpuPart(word, end), row, Math.Min(TileRows, last - row));
            word = end;
        }
    }

    private byte* State(int slot, int word) => states + (slot * slotBytes) + ((long)word * Columns * columnBytes);

    private void Tile(int slot, int head, CpuPart words, int first, int rows)
    {
        int keys = shape.KeyHeadDim;
        float* rowsMemory = CpuVectors.Scratch((((2L * TileRows) + Columns) * keys) + (2 * TileRows));
        float* wide = rowsMemory + (2L * TileRows * keys);
        float* gates = wide + ((long)Columns * keys);
        float* row = qkv + (first * qkvStride);
        for (int t = 0; t < rows; t++)
        {
            float* q = row + (t * qkvStride) + (head / shape.Ratio * keys);
            float* to = rowsMemory + (2L * t * keys);
            Unsafe.CopyBlock(to, q, (uint)keys * sizeof(float));
            Unsafe.CopyBlock(to + keys, q + shape.KeyChannels, (uint)keys * sizeof(float));
            gates[2 * t] = MathF.Exp(g[first + t, head]);
            gates[(2 * t) + 1] = beta[first + t, head];
        }

        for (int word = words.From; word < words.To; word++)
        {
            float* v = row + (2L * shape.KeyChannels) + (word * Columns);
            float* o = y + (first * yStride) + (word * Columns);
            byte* state = State(slot, word);
            if (!isF16)
            {
                Advance((float*)state, keys, rowsMemory, gates, rows, v, qkvStride, o, yStride, false);
                continue;
            }

            Widen((ushort*)state, wide, Columns * keys);
            Advance(wide, keys, rowsMemory, gates, rows, v, qkvStride, o, yStride, true);
            Narrow(wide, (ushort*)state, Columns * keys);
        }
    }

    // Four columns of state through all rows. Each row: q | k in its place of qk, decay and β in gates, four values, four outputs.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Advance(
        float* s, int keys, float* qk, float* gates, int rows, float* v, long vStride, float* o, long oStride, bool isRounded)
    {
        Vector128<float> read = Read(s, keys, qk + keys);
        for (int t = 0; t < rows; t++, qk += 2 * keys, gates += 2, v += vStride, o += oStride)
        {
            Vector128<float> d = (Vector128.Load(v) - (read * Vector128.Create(gates[0]))) * Vector128.Create(gates[1]);
            float* next = (t + 1 < rows ? qk + (2 * keys) : qk) + keys;
            read = Update(s, keys, qk, next, gates[0], d, o);
            if (!isRounded || t + 1 == rows)
                continue;
            Round(s, Columns * keys);
            read = Read(s, keys, next);
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Round(float* values, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            F16Vectors.Round(Vector512.Load(values + i)).Store(values + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ushort* from, float* to, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            F16Vectors.Load(from + i).Store(to + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow(float* from, ushort* to, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            F16Vectors.Store(Vector512.Load(from + i), to + i);
    }
}
