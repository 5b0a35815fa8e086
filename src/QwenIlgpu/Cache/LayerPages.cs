using System.Runtime.CompilerServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Pages of one attention layer, and the launches on them that are compiled for their element type.</summary>
internal abstract class LayerPages
{
    /// <summary>Bytes of an element.</summary>
    public abstract int ElementBytes { get; }

    /// <summary>Bytes of the keys of one page; the values take as many.</summary>
    public abstract long KeyBytes { get; }

    /// <summary>The pages where they are of bf16, which alone the kernels of tensor cores read.</summary>
    public KvPages<ushort>? Bf16 => (this as LayerPages<ushort, Bf16PageFormat>)?.Pages;

    /// <summary>The keys of one page, all heads of 64 tokens.</summary>
    public abstract ArrayView<byte> KeysOf(int page);

    /// <summary>The values of one page.</summary>
    public abstract ArrayView<byte> ValuesOf(int page);

    /// <inheritdoc cref="KvAppend"/>
    public abstract Launch BindAppend(KernelLoader loader, Matrix<float> k, Matrix<float> v, PagedRows rows);

    /// <inheritdoc cref="QkNormRotaryAppend"/>
    public abstract Launch BindQkNormRotaryAppend(
        KernelLoader loader, Matrix<float> q, Matrix<float> k, Matrix<float> v, int heads, QkNormWeights norms, PagedRows rows);

    /// <inheritdoc cref="Kernels.GatedAttention"/>
    public abstract Launch BindAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, Matrix<float> y);
}

/// <summary>Pages of elements as a format stores them.</summary>
internal sealed class LayerPages<TStorage, TFormat>(KvPages<TStorage> pages) : LayerPages
    where TStorage : unmanaged
    where TFormat : struct, IPageFormat<TStorage>
{
    public KvPages<TStorage> Pages => pages;

    public override int ElementBytes => Unsafe.SizeOf<TStorage>();

    public override long KeyBytes => PageElements * ElementBytes;

    private long PageElements => (long)pages.KvHeads * KvCache.PageTokens * pages.HeadDim;

    public override ArrayView<byte> KeysOf(int page) => pages.Keys.SubView(page * PageElements, PageElements).Cast<byte>();

    public override ArrayView<byte> ValuesOf(int page) => pages.Values.SubView(page * PageElements, PageElements).Cast<byte>();

    /// <summary>Zeroed pages.</summary>
    public static LayerPages Allocate(DeviceMemory memory, int pages, int kvHeads, int headDim)
    {
        long elements = (long)pages * kvHeads * KvCache.PageTokens * headDim;
        ArrayView<TStorage> keys = memory.AllocateZeroed<TStorage>(elements);
        return new LayerPages<TStorage, TFormat>(
            new KvPages<TStorage>(keys, memory.AllocateZeroed<TStorage>(elements), pages, kvHeads, headDim));
    }

    public override Launch BindAppend(KernelLoader loader, Matrix<float> k, Matrix<float> v, PagedRows rows) =>
        KvAppend.Bind<TStorage, TFormat>(loader, k, v, pages, rows);

    public override Launch BindQkNormRotaryAppend(
        KernelLoader loader, Matrix<float> q, Matrix<float> k, Matrix<float> v, int heads, QkNormWeights norms, PagedRows rows) =>
        QkNormRotaryAppend.Bind<TStorage, TFormat>(loader, q, k, v, heads, norms, pages, rows);

    public override Launch BindAttention(
        KernelLoader loader, Matrix<float> q, PagedRows rows, int heads, Matrix<float> scratch, Matrix<float> y) =>
        Kernels.GatedAttention.Bind<TStorage, TFormat>(loader, q, pages, rows, heads, scratch, y);
}
