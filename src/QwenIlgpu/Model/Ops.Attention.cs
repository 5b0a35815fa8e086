using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The operations of a gated attention layer.</summary>
internal sealed partial class Ops
{
    /// <summary>
    /// What q [T, H·2·Hd] (query and gate interleaved per head) and k, v [T, Hkv·Hd] go through before attention: norm and partial rotary
    /// of q and k, k and v into the layer's pages. One launch on a GPU, which leaves k as it was.
    /// </summary>
    public void QkNormRotaryAppend(
        Tensor q, Tensor k, Tensor v, LayerPages pages, AttentionShape heads, QkNormWeights norms)
    {
        if (!loader.RunsWarpKernels || !Kernels.QkNormRotaryAppend.Supports(heads.HeadDim))
        {
            QkNormRotary(q, k, heads, norms);
            KvAppend(k, v, pages);
            return;
        }

        Add("qk_norm_rotary_append", [q, k, v], [q], k.SizeBytes, () =>
            pages.BindQkNormRotaryAppend(loader, q.View, k.View, v.View, heads.Heads, norms, pagedRows));
    }

    /// <summary>q/k norm and partial rotary in place on q [T, H·2·Hd] (query and gate interleaved per head) and k [T, Hkv·Hd].</summary>
    private void QkNormRotary(Tensor q, Tensor k, AttentionShape heads, QkNormWeights norms) =>
        Add("qk_norm_rotary", [q, k], [q, k], 0, () => Kernels.QkNormRotary.Bind(
            loader, q.View, k.View, heads.Heads, heads.KvHeads, heads.HeadDim, norms, pagedRows.Positions));

    /// <summary>Writes k and v [T, Hkv·Hd] into the layer's pages; where these are quantised, k and v are turned on the way.</summary>
    private void KvAppend(Tensor k, Tensor v, LayerPages pages) =>
        Add("kv_append", [k, v], pages.AreQuantized ? [k, v] : [], k.SizeBytes, () => pages.BindAppend(loader, k.View, v.View, pagedRows));

    /// <summary>Causal attention over the pages, times the sigmoid of the gate inside q: [T, H·Hd].</summary>
    public Tensor GatedAttention(Tensor q, LayerPages pages, AttentionShape heads)
    {
        Tensor y = graph.NewTensor("attention", q.Rows, heads.Heads * heads.HeadDim);
        long cacheBytes = Shape.Sequences * pages.PageBytes / Kernels.KvCache.PageTokens;
        if (fusesDecode && pages.SupportsDecodeAttention(heads.Heads))
        {
            (int splitRows, int splitColumns) = DecodeAttention.ScratchShape(q.Rows, heads.Heads, heads.HeadDim, pagedRows.PageTable.Columns);
            Tensor splits = graph.NewTensor("splits", splitRows, splitColumns, TensorRole.Scratch);
            Add("decode_attention", [q], [splits, y], 0, () => pages.BindDecodeAttention(
                loader, q.View, pagedRows, heads.Heads, splits.View,
                tickets.SubView(0, DecodeAttention.Tickets(q.Rows, heads.KvHeads)), y.View), cacheBytes);
            return y;
        }

        if (fusesPrefill && pages.SuitTensorCores && PrefillAttention.Supports(heads.Heads, heads.KvHeads, heads.HeadDim))
        {
            Add("prefill_attention", [q], [y], 0, () => pages.BindPrefillAttention(
                loader, q.View, pagedRows, slotRows.Chunks, heads.Heads, y.View), cacheBytes, work: NodeWork.PrefillAttention);
            return y;
        }

        (int rows, int columns) = pages.ScratchShape(q.Rows, heads.Heads);
        Tensor scores = graph.NewTensor("scores", rows, columns, TensorRole.Scratch);
        Add("gated_attention", [q], [scores, y], 0, () =>
            pages.BindAttention(loader, q.View, pagedRows, heads.Heads, scores.View, y.View), cacheBytes);
        return y;
    }
}
