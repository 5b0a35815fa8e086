using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The gated delta rule over rows of several sequences, each with its state S [Dk, Dv] per value head in a numbered slot:
/// S ← e^g S; d = β (v − Sᵀ k); S ← S + k dᵀ; o = Sᵀ q. README.md holds the chunked form.
/// </summary>
internal static class GatedDeltaRule
{
    /// <summary>Launches of <see cref="BindChunked"/>.</summary>
    public const int ChunkedLaunches = 3;

    /// <summary>
    /// Row after row: decode, and prefill where vector code of CPU threads runs it. qkv: [T, 2 · Hk · Dk + Hv · Dv], blocks q | k | v, q and k normalised; beta, g: [T, Hv];
    /// state: [slots, Hv · Dv · Dk], float or f16, updated in place; firstRow: [B + 1]; positions: [T]; stateSlot: [B]; y: [T, Hv · Dv], not within
    /// qkv. A sequence whose first position is 0 starts from zeros and its slot is not read; one without rows keeps its slot. Rows of
    /// no sequence are not written. With chunks, built by <see cref="ChunkList.Build"/> for the same firstRow and positions, snapshotSlot
    /// names per chunk a slot that takes the state after it, or −1.
    /// </summary>
    public static Launch BindRecurrent(
        KernelLoader loader,
        Matrix<float> qkv,
        Matrix<float> beta,
        Matrix<float> g,
        DeltaShape shape,
        DeltaStates state,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        Matrix<float> y,
        ChunkList chunks = default,
        ArrayView<int>? snapshotSlot = null)
    {
        const string Op = "gated_delta_rule_recurrent";
        Check(Op, qkv, beta, g, shape, state, firstRow, positions, stateSlot, y);
        if (snapshotSlot is { } snapshots)
            CheckChunks(Op, chunks, snapshots, stateSlot);
        return state.F32 is null
            ? Recurrent<UInt2, F16DeltaState>(state.F16Words(Op))
            : Recurrent<Float4, F32DeltaState>(state.F32Words(Op));

        Launch Recurrent<TWord, TState>(Matrix<TWord> words)
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord>
        {
            var rule = new RecurrentDeltaRuleKernel<TWord, TState>(
                Float4.Words(Op, "qkv", qkv), beta, g, shape, words, firstRow, positions, stateSlot, Float4.Words(Op, "y", y),
                (int)stateSlot.Length, WordsPerItem(loader, shape));
            return snapshotSlot is { } kept
                ? loader.Bind(
                    RecurrentPrefillKernel<TWord, TState>.GatedDeltaRulePrefill, new RecurrentPrefillKernel<TWord, TState>(rule, chunks, kept))
                : loader.Bind(RecurrentDeltaRuleKernel<TWord, TState>.GatedDeltaRuleRecurrent, rule);
        }
    }

    /// <summary>
    /// Chunk after chunk: prefill. Operands as in <see cref="BindRecurrent"/>; chunks: built by <see cref="ChunkList.Build"/> for the
    /// same firstRow and positions; scratch: T rows, nothing in it outlives the launches; snapshotSlot: per chunk a slot that takes the
    /// state after it, or −1. Run the launches in their order.
    /// </summary>
    public static Launch[] BindChunked(
        KernelLoader loader,
        Matrix<float> qkv,
        Matrix<float> beta,
        Matrix<float> g,
        DeltaShape shape,
        DeltaStates state,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        ChunkList chunks,
        ChunkScratch scratch,
        Matrix<float> y,
        ArrayView<int>? snapshotSlot = null)
    {
        const string Op = "gated_delta_rule_chunked";
        Check(Op, qkv, beta, g, shape, state, firstRow, positions, stateSlot, y);
        CheckChunks(Op, chunks, snapshotSlot, stateSlot);
        Require.Equal(Op, "rows of scratch", scratch.A.Rows, "rows of qkv", qkv.Rows);
        Require.Equal(Op, "columns of scratch U", scratch.U.Columns, "value channels", shape.ValueChannels);
        Require.Equal(Op, "columns of scratch W", scratch.W.Columns, "value heads · key head size", shape.ValueHeads * shape.KeyHeadDim);

        Matrix<Float4> qkvWords = Float4.Words(Op, "qkv", qkv);
        Matrix<Float4> a = Float4.Words(Op, "scratch A", scratch.A);
        Matrix<Float4> p = Float4.Words(Op, "scratch P", scratch.P);
        Matrix<Float4> u = Float4.Words(Op, "scratch U", scratch.U);
        Matrix<Float4> w = Float4.Words(Op, "scratch W", scratch.W);
        int wordsPerItem = WordsPerItem(loader, shape);
        return
        [
            loader.Bind(
                ChunkTrianglesKernel.DeltaChunkTriangles,
                new ChunkTrianglesKernel(
                    qkvWords, beta, g, shape, chunks, scratch.A, scratch.P, scratch.DecayBefore, scratch.DecayAfter,
                    (int)chunks.Rows.Length, (int)stateSlot.Length)),
            loader.Bind(
                ChunkSolveKernel.DeltaChunkSolve,
                new ChunkSolveKernel(
                    qkvWords, beta, shape, chunks, a, scratch.DecayBefore, u, w, (int)chunks.Rows.Length, (int)stateSlot.Length)),
            state.F32 is null ? Scan<UInt2, F16DeltaState>(state.F16Words(Op)) : Scan<Float4, F32DeltaState>(state.F32Words(Op)),
        ];

        Launch Scan<TWord, TState>(Matrix<TWord> words)
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord> => loader.Bind(
                ChunkScanKernel<TWord, TState>.DeltaChunkScan,
                new ChunkScanKernel<TWord, TState>(
                    qkvWords, shape, words, firstRow, positions, stateSlot, chunks, snapshotSlot ?? stateSlot.SubView(0, 0), p, u, w,
                    scratch.DecayBefore, scratch.DecayAfter, Float4.Words(Op, "y", y), (int)stateSlot.Length, wordsPerItem));
    }

    // Neighbouring GPU threads take neighbouring words; a CPU thread takes whole cache lines of y.
    private static int WordsPerItem(KernelLoader loader, DeltaShape shape) =>
        loader.Accelerator.AcceleratorType == AcceleratorType.CPU && shape.ValueHeadDim % 16 == 0 ? 4 : 1;

    private static void CheckChunks(string op, ChunkList chunks, ArrayView<int>? snapshotSlot, ArrayView<int> stateSlot)
    {
        Require.Equal(op, "length of the chunks' rows", chunks.Rows.Length, "of their first rows", chunks.FirstRow.Length);
        Require.Equal(op, "length of the chunks' firstChunk", chunks.FirstChunk.Length, "sequences + 1", stateSlot.Length + 1);
        if (snapshotSlot is { } slots)
            Require.Equal(op, "length of snapshotSlot", slots.Length, "chunks", chunks.Rows.Length);
    }

    private static void Check(
        string op,
        Matrix<float> qkv,
        Matrix<float> beta,
        Matrix<float> g,
        DeltaShape shape,
        DeltaStates state,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        Matrix<float> y)
    {
        Require.That(
            op,
            shape.KeyHeads > 0 && shape.ValueHeads > 0 && shape.ValueHeads % shape.KeyHeads == 0,
            $"{shape.ValueHeads} value heads are no multiple of {shape.KeyHeads} key heads");
        Require.That(
            op,
            shape.KeyHeadDim > 0 && shape.KeyHeadDim % 4 == 0 && shape.ValueHeadDim > 0 && shape.ValueHeadDim % 4 == 0,
            $"head sizes must be multiples of 4: {shape}");
        Require.Equal(op, "columns of qkv", qkv.Columns, $"width of q | k | v of {shape}", shape.Channels);
        Require.Equal(op, "rows of beta", beta.Rows, "rows of qkv", qkv.Rows);
        Require.Equal(op, "columns of beta", beta.Columns, "value heads", shape.ValueHeads);
        Require.Equal(op, "rows of g", g.Rows, "rows of qkv", qkv.Rows);
        Require.Equal(op, "columns of g", g.Columns, "value heads", shape.ValueHeads);
        Require.Equal(op, "columns of state", state.Columns, "Hv · Dv · Dk", shape.StateLength);
        Require.Equal(op, "length of firstRow", firstRow.Length, "sequences + 1", stateSlot.Length + 1);
        Require.Equal(op, "length of positions", positions.Length, "rows of qkv", qkv.Rows);
        Require.Equal(op, "rows of y", y.Rows, "rows of qkv", qkv.Rows);
        Require.Equal(op, "columns of y", y.Columns, "value channels", shape.ValueChannels);
    }
}
