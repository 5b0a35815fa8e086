using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="GatedAttention"/> of a step's chunks of rows on the tensor cores: queries and the weights of the softmax rounded to bf16,
/// all sums in float. Pages of every format but f32.
/// </summary>
internal static class PrefillAttention
{
    private const string Op = "prefill_attention";

    /// <summary>Whether there is a kernel for these heads.</summary>
    public static bool Supports(int heads, int kvHeads, int headDim) =>
        headDim is 64 or 128 or 256 && kvHeads > 0 && heads > 0 && heads % kvHeads == 0;

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values after norm and rotary, then Hd gate values; chunks: built by
    /// <see cref="ChunkList.Build"/> for the same positions; y: [T, H · Hd]. Row t attends to the keys at 0 … positions[t] of
    /// its sequence, its own among them, all read from the pages. A row's bits depend on its query, its position and its sequence's pages
    /// only. Rows of no chunk are not written.
    /// </summary>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        ChunkList chunks,
        int heads,
        Matrix<float> y)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat =>
        TakesTwoHeads(loader.Accelerator, heads, pages.KvHeads, pages.HeadDim)
            ? Bind<TKeys, TValues, Two>(loader, q, pages, rows, chunks, heads, y)
            : Bind<TKeys, TValues, One>(loader, q, pages, rows, chunks, heads, y);

    /// <summary>With so many heads a group.</summary>
    public static Launch Bind<TKeys, TValues, THeads>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        ChunkList chunks,
        int heads,
        Matrix<float> y)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat
        where THeads : struct, IConstant
    {
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(
            Op,
            Supports(heads, pages.KvHeads, headDim),
            $"{heads} query heads on {pages.KvHeads} kv heads of {headDim}: a multiple of them, of 64, 128 or 256");
        Require.That(
            Op,
            heads / pages.KvHeads % THeads.Value == 0,
            $"{heads / pages.KvHeads} heads share a kv head, no multiple of {THeads.Value}, the heads of a group");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        rows.Check(Op, "rows of q", q.Rows);
        Require.Equal(Op, "length of the chunks' rows", chunks.Rows.Length, "of their first rows", chunks.FirstRow.Length);
        Require.Equal(Op, "rows of y", y.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "heads · head size", (long)heads * headDim);
        return headDim switch
        {
            64 => BindHeads<OutputTile64>(),
            128 => BindHeads<Twice<OutputTile64>>(),
            _ => BindHeads<Twice<Twice<OutputTile64>>>(),
        };

        Launch BindHeads<TOutputs>()
            where TOutputs : struct, IOutputTile<TOutputs> => loader.Bind(
                PrefillAttentionKernel<TKeys, TValues, TOutputs, THeads>.PrefillAttention,
                LaunchSize.Config<PrefillAttentionKernel<TKeys, TValues, TOutputs, THeads>>(
                    new Index3D(heads / THeads.Value, (int)chunks.Rows.Length, 1)),
                new PrefillAttentionKernel<TKeys, TValues, TOutputs, THeads>(
                    Float4.Words(Op, "q", q), pages, rows, chunks, (int)chunks.FirstChunk.Length - 1, heads,
                    (float)(Math.Log2(Math.E) / Math.Sqrt(headDim)), Float2.Words(Op, "y", y)));
    }

    // Two heads of 256 read each tile of keys and values once, in 128 KiB or more. GPUs made for graphics have 100 KiB a multiprocessor.
    private static bool TakesTwoHeads(Accelerator accelerator, int heads, int kvHeads, int headDim) =>
        headDim == 256 && kvHeads > 0 && heads / kvHeads % 2 == 0
        && accelerator is CudaAccelerator { Architecture: not ({ Major: 8, Minor: 6 or 9 } or { Major: 12 }) };
}
