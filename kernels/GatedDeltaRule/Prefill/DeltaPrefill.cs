namespace QwenIlgpu.Kernels;

/// <summary>The gated delta rule in chunks on tensor cores: a DeltaNet layer's prefill between its projections, without the norm.</summary>
internal static class DeltaPrefill
{
    /// <summary>The op's name in messages.</summary>
    public const string Op = "delta_prefill";

    /// <summary>Whether there is a kernel for these heads.</summary>
    public static bool Supports(DeltaShape shape) => shape.KeyHeadDim is 64 or 128 && shape.ValueHeadDim == shape.KeyHeadDim;

    /// <summary>Launches of <see cref="Bind"/>.</summary>
    public const int Launches = 3;

    /// <summary>
    /// From the projections (Z is not read) to y before the gated norm: convolution, SiLU, norms and gates; what needs no state; the scan.
    /// The ring, of at least four rows, is read and advanced as by <see cref="CausalConv1d"/>; the other operands as in
    /// <see cref="BindRule"/>. Run the launches in their order; nothing in the scratch outlives them.
    /// </summary>
    public static Launch[] Bind(
        KernelLoader loader,
        DeltaShape shape,
        DeltaProjections projections,
        DeltaParameters parameters,
        DeltaSlots slots,
        ChunkedRows rows,
        DeltaPrefillScratch scratch,
        Matrix<float> y) =>
    [
        BindInputs(loader, shape, projections, parameters, slots.Ring, rows, scratch),
        .. BindRule(loader, shape, slots.States, rows, scratch, y),
    ];

    /// <summary>The first launch of <see cref="Bind"/>, which writes the scratch's Qkv, Beta and G.</summary>
    public static Launch BindInputs(
        KernelLoader loader,
        DeltaShape shape,
        DeltaProjections projections,
        DeltaParameters parameters,
        Matrix<float> ring,
        ChunkedRows rows,
        DeltaPrefillScratch scratch)
    {
        Require.That(Op, Supports(shape), $"heads must all be of 64 or all of 128: {shape}");
        int mixedRows = projections.Mixed.Rows;
        Require.Equal(Op, "columns of mixed", projections.Mixed.Columns, $"width of q | k | v of {shape}", shape.Channels);
        Require.Equal(Op, "rows of b", projections.B.Rows, "rows of mixed", mixedRows);
        Require.Equal(Op, "columns of b", projections.B.Columns, "value heads", shape.ValueHeads);
        Require.Equal(Op, "rows of a", projections.A.Rows, "rows of mixed", mixedRows);
        Require.Equal(Op, "columns of a", projections.A.Columns, "value heads", shape.ValueHeads);
        Require.Equal(Op, "rows of conv1d", parameters.Conv1d.Rows, "channels", shape.Channels);
        Require.Equal(Op, "columns of conv1d", parameters.Conv1d.Columns, "taps", DeltaParameters.Taps);
        Require.Equal(Op, "length of aLog", parameters.ALog.Length, "value heads", shape.ValueHeads);
        Require.Equal(Op, "length of dtBias", parameters.DtBias.Length, "value heads", shape.ValueHeads);
        int ringRows = ring.Columns / shape.Channels;
        Require.That(
            Op,
            ringRows >= DeltaParameters.Taps && ring.Columns % shape.Channels == 0,
            $"columns of ring are {ring.Columns}, not a multiple of {shape.Channels} channels for at least {DeltaParameters.Taps} rows");
        rows.Rows.Check(Op, "rows of mixed", mixedRows);
        Require.Equal(Op, "rows of scratch", scratch.Qkv.Rows, "rows of mixed", mixedRows);
        var operands = new DeltaInputsOperands(projections, parameters, ring, ringRows, rows.Rows);
        return shape.KeyHeadDim == 64 ? Inputs<Dim64>() : Inputs<Dim128>();

        Launch Inputs<THeadDim>()
            where THeadDim : struct, IConstant
        {
            var kernel = new DeltaInputsKernel<THeadDim>(shape, operands, rows.Chunks, scratch);
            return loader.Bind(DeltaInputsKernel<THeadDim>.DeltaPrefillInputs, kernel.Config, kernel);
        }
    }

    /// <summary>
    /// The rule on what is in the scratch's Qkv, Beta and G. state: [slots, Hv · Dv · Dk]; y: [T, Hv · Dv]. A sequence whose
    /// first position is 0 starts from zeros and its slot is not read; one without rows keeps its slot.
    /// </summary>
    public static Launch[] BindRule(
        KernelLoader loader, DeltaShape shape, DeltaStates state, ChunkedRows rows, DeltaPrefillScratch scratch, Matrix<float> y)
    {
        Require.That(
            Op,
            shape.KeyHeads > 0 && shape.ValueHeads > 0 && shape.ValueHeads % shape.KeyHeads == 0,
            $"{shape.ValueHeads} value heads are no multiple of {shape.KeyHeads} key heads");
        Require.That(Op, Supports(shape), $"heads must all be of 64 or all of 128: {shape}");
        int capacity = rows.Chunks.Capacity;
        long length = rows.Rows.Positions.Length;
        Require.Equal(Op, "rows of scratch", scratch.Qkv.Rows, "length of positions", length);
        Require.Equal(Op, "columns of scratch", 8L * scratch.Qkv.Columns, $"width of q | k | v of {shape}", shape.Channels);
        Require.Equal(
            Op, "words of scratch T", scratch.T.Length,
            "its need of the chunks", (long)capacity * shape.ValueHeads * DeltaPrefillScratch.TriangleWords);
        rows.CheckChunks(Op);
        rows.Rows.Check(Op, "rows of scratch", scratch.Qkv.Rows);
        Require.Equal(Op, "columns of state", state.Columns, "Hv · Dv · Dk", shape.StateLength);
        Require.Equal(Op, "rows of y", y.Rows, "length of positions", length);
        Require.Equal(Op, "columns of y", y.Columns, "value channels", shape.ValueChannels);
        return shape.KeyHeadDim == 64
            ? BindRule<Dim64>(loader, shape, state, rows, scratch, y)
            : BindRule<Dim128>(loader, shape, state, rows, scratch, y);
    }

    private static Launch[] BindRule<THeadDim>(
        KernelLoader loader, DeltaShape shape, DeltaStates state, ChunkedRows rows, DeltaPrefillScratch scratch, Matrix<float> y)
        where THeadDim : struct, IConstant
    {
        var prepare = new ChunkPrepareKernel<THeadDim>(shape, rows.Chunks, scratch, rows.Rows.Sequences);
        return
        [
            loader.Bind(ChunkPrepareKernel<THeadDim>.DeltaPrefillPrepare, prepare.Config, prepare),
            state.Format switch
            {
                DeltaStateFormat.F32 => Scan<Float4, F32State>(),
                DeltaStateFormat.F16 => Scan<UInt2, F16State>(),
                _ => Scan<UInt2, Bf16State>(),
            },
        ];

        Launch Scan<TWord, TState>()
            where TWord : unmanaged
            where TState : struct, IDeltaStateFormat<TWord>
        {
            var kernel = new TensorCoreChunkScanKernel<THeadDim, TWord, TState>(
                shape, new DeltaScanOperands(rows, y), rows.Chunks, scratch, state.Words<TWord>(Op));
            return loader.Bind(TensorCoreChunkScanKernel<THeadDim, TWord, TState>.DeltaPrefillScan, kernel.Config, kernel);
        }
    }
}
