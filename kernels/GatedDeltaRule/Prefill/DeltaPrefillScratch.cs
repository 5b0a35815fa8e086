using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the launches of <see cref="DeltaPrefill"/> hand to each other, cut from one piece of memory: for rows the inputs of the rule, for
/// each chunk and value head what does not depend on the state.
/// </summary>
internal readonly struct DeltaPrefillScratch
{
    /// <summary>16-byte words of a 64 × 64 triangle of f16.</summary>
    public const int TriangleWords = ChunkList.ChunkRows * ChunkList.ChunkRows / 8;

    /// <summary>16-byte words of a chunk's decays: e^γ of 64 rows, then e^(γ_last − γ), float.</summary>
    public const int DecayWords = 2 * ChunkList.ChunkRows / 4;

    private const string Op = "delta_prefill_scratch";

    /// <summary>q | k | v after the convolution, q and k normalised, f16 in words of eight: [T, Channels / 8].</summary>
    public readonly Matrix<UInt4> Qkv;

    /// <summary>[T, Hv]</summary>
    public readonly Matrix<float> Beta;

    /// <summary>[T, Hv]</summary>
    public readonly Matrix<float> G;

    /// <summary>(I + A)⁻¹ diag(β), f16: [capacity, Hv, 64, 64], zeros above the diagonal.</summary>
    public readonly ArrayView<UInt4> T;

    /// <summary>lower(Q Kᵀ ∘ D), f16: [capacity, Hv, 64, 64], zeros above the diagonal.</summary>
    public readonly ArrayView<UInt4> P;

    /// <summary>[capacity, Hv, 2, 64] float</summary>
    public readonly ArrayView<UInt4> Decays;

    /// <summary>Cuts the parts from <paramref name="memory"/>, [Floats(shape, rows, capacity)], for so many rows and chunks.</summary>
    public DeltaPrefillScratch(DeltaShape shape, int rows, int capacity, ArrayView<float> memory)
    {
        Require.Equal(Op, "length of memory", memory.Length, "the need of the shape, rows and chunks", Floats(shape, rows, capacity));
        long offset = ((IContiguousArrayView)memory).IndexInBytes;
        Require.That(Op, offset % 16 == 0, $"memory starts at byte {offset}, not at a word of 16");
        ArrayView<UInt4> words = memory.Cast<UInt4>();
        long tiles = (long)capacity * shape.ValueHeads;
        long start = 0;
        T = Part(words, tiles * TriangleWords, ref start);
        P = Part(words, tiles * TriangleWords, ref start);
        Decays = Part(words, tiles * DecayWords, ref start);
        Qkv = new Matrix<UInt4>(Part(words, (long)rows * shape.Channels / 8, ref start), rows, shape.Channels / 8);
        long gates = GateWords(shape, rows);
        Beta = new Matrix<float>(Part(words, gates, ref start).Cast<float>(), rows, shape.ValueHeads);
        G = new Matrix<float>(Part(words, gates, ref start).Cast<float>(), rows, shape.ValueHeads);
    }

    /// <summary>Floats of memory.</summary>
    public static long Floats(DeltaShape shape, int rows, int capacity) =>
        4 * (((long)capacity * shape.ValueHeads * ((2 * TriangleWords) + DecayWords))
            + ((long)rows * shape.Channels / 8) + (2 * GateWords(shape, rows)));

    private static long GateWords(DeltaShape shape, int rows) => (((long)rows * shape.ValueHeads) + 3) / 4;

    private static ArrayView<UInt4> Part(ArrayView<UInt4> memory, long length, ref long start)
    {
        ArrayView<UInt4> part = memory.SubView(start, length);
        start += length;
        return part;
    }
}
