using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Norm and rotation of one head of one row a warp, query heads before key heads; a key goes to its page, and its value with it.
/// q: [T, H · 2 · Hd] in place; k, v: [T, Hkv · Hd]; qNorm, kNorm: [Hd], all float; rowSlot, positions: [T]; pageTable: [slots, blocks].
/// </summary>
[LaunchBounds(GroupSize)]
[Instantiation(typeof(float), typeof(F32Format))]
[Instantiation(typeof(ushort), typeof(Bf16Format))]
internal readonly struct QkNormRotaryAppendKernel<TStorage, TFormat>(
    Matrix<float> q,
    Matrix<float> k,
    Matrix<float> v,
    int heads,
    ArrayView<float> qNorm,
    ArrayView<float> kNorm,
    KvPages<TStorage> pages,
    ArrayView<int> rowSlot,
    ArrayView<int> positions,
    Matrix<int> pageTable,
    RotaryView rotary,
    float eps) : IGroupKernel
    where TStorage : unmanaged
    where TFormat : struct, INumberFormat<TStorage>
{
    public const int MaxHeadDim = 256;

    private const int Warps = 8;
    private const int GroupSize = 32 * Warps;

    public KernelConfig Config => new((Items + Warps - 1) / Warps, GroupSize);

    private int Items => q.Rows * (heads + pages.KvHeads);

    public static void QkNormRotaryAppend(QkNormRotaryAppendKernel<TStorage, TFormat> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> allNormed = SharedMemory.Allocate<float>(Warps * MaxHeadDim);
        int warp = Group.IdxX >> 5;
        int item = (Grid.IdxX * Warps) + warp;
        bool present = item < Items;
        item = present ? item : Items - 1;              // warps without work do another's again, and keep it to themselves
        int row = item / (heads + pages.KvHeads);
        int head = item - (row * (heads + pages.KvHeads));
        ArrayView<float> normed = allNormed.SubView(warp * MaxHeadDim, MaxHeadDim);
        bool isQuery = head < heads;
        ArrayView<float> x = isQuery
            ? q.Row(row).SubView(head * 2 * pages.HeadDim, pages.HeadDim)
            : k.Row(row).SubView((head - heads) * pages.HeadDim, pages.HeadDim);
        Norm(x, isQuery ? qNorm : kNorm, normed);
        Group.Barrier();
        if (!present)
            return;
        if (isQuery)
            TurnQuery(x, normed, positions[row]);
        else
            AppendKey(row, head - heads, normed);
    }

    private void Norm(ArrayView<float> x, ArrayView<float> weight, ArrayView<float> normed)
    {
        int lane = Group.IdxX & 31;
        float squares = 0;
        for (int i = lane; i < pages.HeadDim; i += 32)
            squares += x[i] * x[i];
        float scale = 1 / XMath.Sqrt((WarpReduce.Sum(squares) / pages.HeadDim) + eps);
        for (int i = lane; i < pages.HeadDim; i += 32)
            normed[i] = x[i] * scale * (1 + weight[i]);
    }

    private void TurnQuery(ArrayView<float> x, ArrayView<float> normed, int position)
    {
        for (int i = Group.IdxX & 31; i < pages.HeadDim; i += 32)
            x[i] = Turned(normed, i, position);
    }

    private void AppendKey(int row, int kvHead, ArrayView<float> normed)
    {
        int position = positions[row];
        int block = position / KvCache.PageTokens;
        int page = pageTable[rowSlot[row], block];
        int start = (position - (block * KvCache.PageTokens)) * pages.HeadDim;
        ArrayView<TStorage> keys = pages.KeyBlock(page, kvHead);
        ArrayView<TStorage> values = pages.ValueBlock(page, kvHead);
        ArrayView<float> value = v.Row(row).SubView(kvHead * pages.HeadDim, pages.HeadDim);
        for (int i = Group.IdxX & 31; i < pages.HeadDim; i += 32)
        {
            keys[start + i] = TFormat.Store(Turned(normed, i, position));
            values[start + i] = TFormat.Store(value[i]);
        }
    }

    // Dimensions i and i + Frequencies make a pair.
    private float Turned(ArrayView<float> normed, int i, int position)
    {
        int frequencies = rotary.Frequencies;
        if (i >= 2 * frequencies)
            return normed[i];
        bool first = i < frequencies;
        Rotation turn = rotary.At(position, first ? i : i - frequencies);
        return first
            ? (normed[i] * turn.Cos) - (normed[i + frequencies] * turn.Sin)
            : (normed[i] * turn.Cos) + (normed[i - frequencies] * turn.Sin);
    }
}
