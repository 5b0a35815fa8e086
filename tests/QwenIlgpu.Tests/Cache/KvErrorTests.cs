using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>What is lost between appending keys and values and gathering them: of random rows, rows with an outlier, and those of the built-in model.</summary>
[NonParallelizable]
internal sealed class KvErrorTests
{
    private const int Tokens = 512;

    // The root of the mean square of the error, as a share of that of the elements. A turned row is about normal: its extremes lie 2 to 3 times that
    // from 0 with 64 dimensions and less often further, a step is a 127th or the 15th of that range, and the error a twelfth's root of a step.
    [TestCase(KvType.F32, 0, 0)]
    [TestCase(KvType.Bf16, 0.0025, 0.0025)]
    [TestCase(KvType.Int8, 0.008, 0.008)]
    [TestCase(KvType.K8V4, 0.008, 0.12)]
    [TestCase(KvType.Int4, 0.12, 0.12)]
    public void GatheredRowsAreCloseToThoseAppended(KvType kvType, double keyShare, double valueShare)
    {
        foreach ((string of, int headDim, float[] k, float[] v) in Rows())
        {
            (double keys, double values) = kvType switch
            {
                KvType.F32 => Shares<F32PageFormat, F32PageFormat>(headDim, k, v),
                KvType.Bf16 => Shares<Bf16PageFormat, Bf16PageFormat>(headDim, k, v),
                KvType.Int8 => Shares<Int8PageFormat, Int8PageFormat>(headDim, k, v),
                KvType.Int4 => Shares<Int4PageFormat, Int4PageFormat>(headDim, k, v),
                _ => Shares<Int8PageFormat, Int4PageFormat>(headDim, k, v),
            };
            TestContext.Out.WriteLine($"{kvType,-5} {of,-40} keys {keys:P3}, values {values:P3}");
            Assert.That(keys, Is.LessThanOrEqualTo(keyShare), of);
            Assert.That(values, Is.LessThanOrEqualTo(valueShare), of);
        }
    }

    // Two kv heads, [T, Hkv · Hd].
    private static IEnumerable<(string Of, int HeadDim, float[] K, float[] V)> Rows()
    {
        foreach (int headDim in new[] { 64, 256 })
        {
            int count = Tokens * 2 * headDim;
            yield return ($"random, heads of {headDim}", headDim, Seeded.Floats(headDim, count), Seeded.Floats(-headDim, count));

            // One dimension of the keys of language models is often far larger than the others.
            float[] outliers = [.. Seeded.Floats(headDim + 1, count).Select((x, i) => i % headDim == 5 ? 20 + x : x)];
            yield return ($"random with an outlier, heads of {headDim}", headDim, outliers, outliers);
        }

        QwenConfig config = TestModels.Tiny.Config;
        using var sequences = new SequenceRunner(TestModels.Tiny, KvType.F32);
        sequences.Prefill(KvTypeTests.HeldOutIds[..Tokens]);
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            if (sequences.Runner.State.AttentionLayers[layer] is not LayerPages<F32PageFormat, F32PageFormat> pages)
                continue;
            (float[] k, float[] v) = Gather(pages.Pages, sequences.Runner.State.PageTable.Row(1));
            yield return ($"layer {layer} of the built-in model", config.HeadDim, k, v);
        }
    }

    private static (double Keys, double Values) Shares<TKeys, TValues>(int headDim, float[] k, float[] v)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        ComputeDevice device = TestModels.Tiny.Device;
        using var memory = new DeviceMemory(device);
        const int Pages = Tokens / 64;
        var pages = new KvPages<TKeys, TValues>(
            memory.AllocateZeroed<UInt4>((long)Pages * 2 * PageBlock.Words<TKeys>(headDim)),
            memory.AllocateZeroed<UInt4>((long)Pages * 2 * PageBlock.Words<TValues>(headDim)), Pages, 2, headDim);
        ArrayView<int> table = Upload<int>(memory, [.. Enumerable.Range(0, Pages)]);
        KvAppend.Bind(
            device.Loader, new Matrix<float>(Upload(memory, k), Tokens, 2 * headDim), new Matrix<float>(Upload(memory, v), Tokens, 2 * headDim),
            pages, RowsOf(memory, table)).Run(device.Stream);
        (float[] keys, float[] values) = Gather(pages, table);
        return (Share(k, keys), Share(v, values));
    }

    private static (float[] K, float[] V) Gather<TKeys, TValues>(KvPages<TKeys, TValues> pages, ArrayView<int> table)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        ComputeDevice device = TestModels.Tiny.Device;
        using var memory = new DeviceMemory(device);
        int width = pages.KvHeads * pages.HeadDim;
        var k = new Matrix<float>(memory.AllocateZeroed<float>((long)Tokens * width), Tokens, width);
        var v = new Matrix<float>(memory.AllocateZeroed<float>((long)Tokens * width), Tokens, width);
        KvGather.Bind(device.Loader, pages, RowsOf(memory, table), k, v).Run(device.Stream);
        var result = (K: new float[k.Data.Length], V: new float[v.Data.Length]);
        k.Data.CopyToCPU(device.Stream, result.K);
        v.Data.CopyToCPU(device.Stream, result.V);
        device.Synchronize();
        return result;
    }

    private static PagedRows RowsOf(DeviceMemory memory, ArrayView<int> table) => new(
        memory.AllocateZeroed<int>(Tokens), Upload<int>(memory, [.. Enumerable.Range(0, Tokens)]), new Matrix<int>(table, 1, (int)table.Length));

    private static ArrayView<T> Upload<T>(DeviceMemory memory, T[] values)
        where T : unmanaged
    {
        ArrayView<T> view = memory.AllocateZeroed<T>(values.Length);
        view.CopyFromCPU(TestModels.Tiny.Device.Stream, values);
        return view;
    }

    private static double Share(float[] wanted, float[] actual) =>
        Math.Sqrt(wanted.Zip(actual, (w, a) => Math.Pow((double)w - a, 2)).Sum() / wanted.Sum(w => (double)w * w));
}
