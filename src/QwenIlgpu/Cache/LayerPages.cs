using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Pages of one attention layer, and the launches on them that are compiled for their format.</summary>
internal abstract class LayerPages
{
    /// <summary>Whether appending turns keys or values, in place where a kernel of its own does it.</summary>
    public abstract bool AreQuantized { get; }

    /// <summary>Bytes of one page, keys and values.</summary>
    public abstract long PageBytes { get; }

    /// <summary>Shape of the scratch of <see cref="BindAttention"/>.</summary>
    public abstract (int Rows, int Columns) ScratchShape(int rows, int heads);

    /// <summary>The keys of one page, all heads of 64 tokens.</summary>
    public abstract ArrayView<byte> KeysOf(int page);

    /// <summary>The values of one page.</summary>
    public abstract ArrayView<byte> ValuesOf(int page);

    /// <inheritdoc cref="KvAppend"/>
    public abstract Launch BindAppend(KernelLoader loader, Matrix<float> k, Matrix<float> v, PagedRows rows);

    /// <inheritdoc cref="QkNormRotaryAppend"/>
    public abstract Launch BindQkNormRotaryAppend(
        KernelLoader loader, Matrix<float> q, Matrix<float> k, Matrix<float> v, int heads, QkNormWeights norms, PagedRows rows);

    /// <summary>Whether tensor cores multiply what the pages hold: <see cref="BindPrefillAttention"/> does it.</summary>
    public bool SuitTensorCores => this is not LayerPages<F32PageFormat, F32PageFormat>;

    /// <inheritdoc cref="PrefillAttention"/>
    public Launch BindPrefillAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, ChunkList chunks, int heads, Matrix<float> y) => this switch
        {
            LayerPages<Bf16PageFormat, Bf16PageFormat> bf16 => PrefillAttention.Bind(loader, q, bf16.Pages, rows, chunks, heads, y),
            LayerPages<Int8PageFormat, Int8PageFormat> int8 => PrefillAttention.Bind(loader, q, int8.Pages, rows, chunks, heads, y),
            LayerPages<Int4PageFormat, Int4PageFormat> int4 => PrefillAttention.Bind(loader, q, int4.Pages, rows, chunks, heads, y),
            LayerPages<Int8PageFormat, Int4PageFormat> k8v4 => PrefillAttention.Bind(loader, q, k8v4.Pages, rows, chunks, heads, y),
            _ => throw new NotSupportedException($"prefill_attention: no kernel reads {GetType()}; GatedAttention does"),
        };

    /// <inheritdoc cref="Kernels.GatedAttention"/>
    public abstract Launch BindAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, Matrix<float> y);

    /// <summary>Whether <see cref="DecodeAttention"/> serves so many query heads.</summary>
    public abstract bool SupportsDecodeAttention(int heads);

    /// <inheritdoc cref="DecodeAttention"/>
    public abstract Launch BindDecodeAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, ArrayView<int> tickets, Matrix<float> y);
}

/// <summary>Pages of keys and of values as their formats store them.</summary>
internal sealed class LayerPages<TKeys, TValues>(KvPages<TKeys, TValues> pages) : LayerPages
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    public KvPages<TKeys, TValues> Pages => pages;

    public override bool AreQuantized => KvPages<TKeys, TValues>.AreQuantized;

    public override long PageBytes => 16 * (KeyWords + ValueWords);

    private long KeyWords => (long)pages.KvHeads * PageBlock.Words<TKeys>(pages.HeadDim);

    private long ValueWords => (long)pages.KvHeads * PageBlock.Words<TValues>(pages.HeadDim);

    public override ArrayView<byte> KeysOf(int page) => pages.Keys.SubView(page * KeyWords, KeyWords).Cast<byte>();

    public override ArrayView<byte> ValuesOf(int page) => pages.Values.SubView(page * ValueWords, ValueWords).Cast<byte>();

    public override (int Rows, int Columns) ScratchShape(int rows, int heads) =>
        Kernels.GatedAttention.ScratchShape<TKeys>(rows, heads, pages.HeadDim);

    /// <summary>Zeroed pages.</summary>
    public static LayerPages Allocate(DeviceMemory memory, int pages, int kvHeads, int headDim)
    {
        long blocks = (long)pages * kvHeads;
        ArrayView<UInt4> keys = memory.AllocateZeroed<UInt4>(blocks * PageBlock.Words<TKeys>(headDim));
        ArrayView<UInt4> values = memory.AllocateZeroed<UInt4>(blocks * PageBlock.Words<TValues>(headDim));
        return new LayerPages<TKeys, TValues>(new KvPages<TKeys, TValues>(keys, values, pages, kvHeads, headDim));
    }

    public override Launch BindAppend(KernelLoader loader, Matrix<float> k, Matrix<float> v, PagedRows rows) =>
        KvAppend.Bind<TKeys, TValues>(loader, k, v, pages, rows);

    public override Launch BindQkNormRotaryAppend(
        KernelLoader loader, Matrix<float> q, Matrix<float> k, Matrix<float> v, int heads, QkNormWeights norms, PagedRows rows) =>
        QkNormRotaryAppend.Bind<TKeys, TValues>(loader, q, k, v, heads, norms, pages, rows);

    public override Launch BindAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, Matrix<float> y) =>
        Kernels.GatedAttention.Bind<TKeys, TValues>(loader, q, pages, rows, heads, scratch, y);

    public override bool SupportsDecodeAttention(int heads) => DecodeAttention.Supports<TKeys, TValues>(heads, pages.KvHeads, pages.HeadDim);

    public override Launch BindDecodeAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, ArrayView<int> tickets, Matrix<float> y) =>
        DecodeAttention.Bind(loader, q, pages, rows, heads, scratch, tickets, y);
}
