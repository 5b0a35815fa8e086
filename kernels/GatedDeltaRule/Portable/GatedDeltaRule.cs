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
    /// Row after row: decode, and prefill where vector code of CPU threads runs it. state: [slots, Hv · Dv · Dk], updated in place and
    /// rounded to its type after each chunk's rows and the step's last; y: [T, Hv · Dv], not within qkv; unrounded: [B, Hv · Dv · Dk], what
    /// the states are between, where <see cref="TakesUnrounded"/> and a sequence has several rows. A sequence whose first position is 0
    /// starts from zeros and its slot is not read; one without rows keeps its slot. Rows of no sequence are not written. The chunks are
    /// read only where some of their states are kept.
    /// </summary>
    public static Launch BindRecurrent(
        KernelLoader loader,
        DeltaShape shape,
        DeltaRuleInputs inputs,
        DeltaStates state,
        ChunkedRows rows,
        Matrix<float> y,
        Matrix<float> unrounded = default)
    {
        const string Op = "gated_delta_rule_recurrent";
        Check(Op, shape, inputs, state, rows.Rows, y);
        bool takesUnrounded = TakesUnrounded(loader, shape, state.Format) && y.Rows > rows.Rows.Sequences;
        if (takesUnrounded)
        {
            Require.Equal(Op, "rows of unrounded", unrounded.Rows, "sequences", rows.Rows.Sequences);
            Require.Equal(Op, "columns of unrounded", unrounded.Columns, "Hv · Dv · Dk", shape.StateLength);
        }

        if (rows.SnapshotSlot.Length > 0)
            rows.CheckChunks(Op);
        return state.Format switch
        {
            DeltaStateFormat.F32 => Recurrent<Float4, F32State>(),
            DeltaStateFormat.F16 => Recurrent<UInt2, F16State>(),
            _ => Recurrent<UInt2, Bf16State>(),
        };

        Launch Recurrent<TWord, TState>()
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord>
        {
            var rule = new RecurrentDeltaRuleKernel<TWord, TState>(
                new DeltaRuleWords(Op, inputs), shape, state.Words<TWord>(Op), rows.Rows, Float4.Words(Op, "y", y),
                takesUnrounded ? Float4.Words(Op, "unrounded", unrounded) : default, rows.Rows.Sequences, WordsPerItem(loader, shape));
            return rows.SnapshotSlot.Length > 0
                ? loader.Bind(
                    RecurrentPrefillKernel<TWord, TState>.GatedDeltaRulePrefill,
                    new RecurrentPrefillKernel<TWord, TState>(rule, rows.Chunks, rows.SnapshotSlot))
                : loader.Bind(RecurrentDeltaRuleKernel<TWord, TState>.GatedDeltaRuleRecurrent, rule);
        }
    }

    /// <summary>
    /// Whether steps of several rows a sequence need memory for states between two roundings: where the type rounds at all, and no vector
    /// code of CPU threads keeps them in its own.
    /// </summary>
    public static bool TakesUnrounded(KernelLoader loader, DeltaShape shape, DeltaStateFormat format) =>
        format != DeltaStateFormat.F32
            && !(loader.UsesShares && loader.Accelerator.AcceleratorType == AcceleratorType.CPU && RecurrentRows.TakesShape(shape));

    /// <summary>
    /// Chunk after chunk: prefill. Operands as in <see cref="BindRecurrent"/>; scratch: T rows, nothing in it outlives the launches. Run the
    /// launches in their order.
    /// </summary>
    public static Launch[] BindChunked(
        KernelLoader loader,
        DeltaShape shape,
        DeltaRuleInputs inputs,
        DeltaStates state,
        ChunkedRows rows,
        ChunkScratch scratch,
        Matrix<float> y)
    {
        const string Op = "gated_delta_rule_chunked";
        Check(Op, shape, inputs, state, rows.Rows, y);
        rows.CheckChunks(Op);
        Require.Equal(Op, "rows of scratch", scratch.A.Rows, "rows of qkv", inputs.Qkv.Rows);
        Require.Equal(Op, "columns of scratch U", scratch.U.Columns, "value channels", shape.ValueChannels);
        Require.Equal(Op, "columns of scratch W", scratch.W.Columns, "value heads · key head size", shape.ValueHeads * shape.KeyHeadDim);

        var words = new DeltaRuleWords(Op, inputs);
        Matrix<Float4> a = Float4.Words(Op, "scratch A", scratch.A);
        var parts = new ChunkParts(Op, scratch);
        return
        [
            loader.Bind(
                ChunkTrianglesKernel.DeltaChunkTriangles,
                new ChunkTrianglesKernel(words, shape, rows.Chunks, scratch.A, scratch.P, parts.Decays)),
            loader.Bind(ChunkSolveKernel.DeltaChunkSolve, new ChunkSolveKernel(words, shape, rows.Chunks, a, parts)),
            state.Format switch
            {
                DeltaStateFormat.F32 => Scan<Float4, F32State>(),
                DeltaStateFormat.F16 => Scan<UInt2, F16State>(),
                _ => Scan<UInt2, Bf16State>(),
            },
        ];

        Launch Scan<TWord, TState>()
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord> => loader.Bind(
                ChunkScanKernel<TWord, TState>.DeltaChunkScan,
                new ChunkScanKernel<TWord, TState>(
                    words.Qkv, shape, state.Words<TWord>(Op), rows, parts, Float4.Words(Op, "y", y), rows.Rows.Sequences,
                    WordsPerItem(loader, shape)));
    }

    // Neighbouring GPU threads take neighbouring words; a CPU thread takes whole cache lines of y.
    private static int WordsPerItem(KernelLoader loader, DeltaShape shape) =>
        loader.Accelerator.AcceleratorType == AcceleratorType.CPU && shape.ValueHeadDim % 16 == 0 ? 4 : 1;

    private static void Check(
        string op, DeltaShape shape, DeltaRuleInputs inputs, DeltaStates state, SlotRows rows, Matrix<float> y)
    {
        (Matrix<float> qkv, Matrix<float> beta, Matrix<float> g) = inputs;
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
        rows.Check(op, "rows of qkv", qkv.Rows);
        Require.Equal(op, "rows of y", y.Rows, "rows of qkv", qkv.Rows);
        Require.Equal(op, "columns of y", y.Columns, "value channels", shape.ValueChannels);
    }
}
