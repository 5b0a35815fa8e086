namespace QwenIlgpu.Kernels;

/// <summary>
/// What the launches of the chunked delta rule hand to each other, cut from one matrix [T, <see cref="Columns"/>]. Every part has a
/// row per row of the step: A and P the rows of their 64 × 64 triangles, U and W those of the solved right-hand sides.
/// </summary>
internal readonly struct ChunkScratch
{
    /// <summary>strict-lower(diag(β) K Kᵀ ∘ D): [T, Hv · 64].</summary>
    public readonly Matrix<float> A;

    /// <summary>lower(Q Kᵀ ∘ D): [T, Hv · 64].</summary>
    public readonly Matrix<float> P;

    /// <summary>(I + A)⁻¹ diag(β) V, which the scan turns into V′: [T, Hv · Dv].</summary>
    public readonly Matrix<float> U;

    /// <summary>(I + A)⁻¹ diag(β e^γ) K: [T, Hv · Dk].</summary>
    public readonly Matrix<float> W;

    /// <summary>e^γ, the decay from the chunk's start to the row: [T, Hv].</summary>
    public readonly Matrix<float> DecayBefore;

    /// <summary>e^(γ of the last row − γ), the decay from the row to the chunk's end: [T, Hv].</summary>
    public readonly Matrix<float> DecayAfter;

    /// <summary>Cuts the parts from <paramref name="memory"/>, [T, Columns(shape)], dense.</summary>
    public ChunkScratch(DeltaShape shape, Matrix<float> memory)
    {
        Require.Equal("chunk_scratch", "columns", memory.Columns, "the shape's need", Columns(shape));
        Require.Equal("chunk_scratch", "stride", memory.Stride, "columns", memory.Columns);
        long start = 0;
        A = Part(memory, shape.ValueHeads * ChunkList.ChunkRows, ref start);
        P = Part(memory, shape.ValueHeads * ChunkList.ChunkRows, ref start);
        U = Part(memory, shape.ValueChannels, ref start);
        W = Part(memory, shape.ValueHeads * shape.KeyHeadDim, ref start);
        DecayBefore = Part(memory, shape.ValueHeads, ref start);
        DecayAfter = Part(memory, shape.ValueHeads, ref start);
    }

    /// <summary>Floats per row of the step.</summary>
    public static int Columns(DeltaShape shape) =>
        shape.ValueHeads * ((2 * ChunkList.ChunkRows) + shape.ValueHeadDim + shape.KeyHeadDim + 2);

    private static Matrix<float> Part(Matrix<float> memory, int columns, ref long start)
    {
        long length = (long)memory.Rows * columns;
        var part = new Matrix<float>(memory.Data.SubView(start, length), memory.Rows, columns);
        start += length;
        return part;
    }
}

/// <summary>The same as kernels take it, but for A: P, U and W in words of four.</summary>
internal readonly struct ChunkParts(string op, ChunkScratch scratch)
{
    public readonly Matrix<Float4> P = Float4.Words(op, "scratch P", scratch.P);
    public readonly Matrix<Float4> U = Float4.Words(op, "scratch U", scratch.U);
    public readonly Matrix<Float4> W = Float4.Words(op, "scratch W", scratch.W);
    public readonly ChunkDecays Decays = new(scratch.DecayBefore, scratch.DecayAfter);
}

/// <summary>before: from the chunk's start to a row; after: from the row to the chunk's end; [T, Hv] both.</summary>
internal readonly struct ChunkDecays(Matrix<float> before, Matrix<float> after)
{
    public readonly Matrix<float> Before = before;
    public readonly Matrix<float> After = after;
}
