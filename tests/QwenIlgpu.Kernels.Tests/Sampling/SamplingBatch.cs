using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Rows of the definition laid out in device memory and bound. Row i lies in slot i + 1 unless told otherwise. Three columns past the
/// tokenizer's vocabulary hold what would be drawn, or taken for a broken row, so that a kernel that reads them is caught.
/// </summary>
internal sealed class SamplingBatch
{
    private static readonly float[] Tail = [1e9f, float.NaN, float.PositiveInfinity];

    private readonly TestDevice device;
    private readonly Launch[] launches;
    private readonly SamplingSlots slots;
    private readonly SamplingScratch scratch;
    private readonly ArrayView<int> ids;
    private readonly LogProbs logProbs;

    public SamplingBatch(SamplingTier tier, SamplingReferenceRow[] rows, int[]? drawIndex = null, int[]? slotOfRow = null)
    {
        device = tier.Device;
        int vocabulary = rows[0].Logits.Length;
        slotOfRow ??= [.. Enumerable.Range(1, rows.Length)];
        int slotCount = slotOfRow.Max() + 1;
        slots = SamplingSlots.In(device.Poisoned<byte>(SamplingSlots.SizeInBytes(slotCount, vocabulary)), slotCount, vocabulary);
        slots.Parameters.MemSetToZero(device.Stream);
        slots.DrawIndex.MemSetToZero(device.Stream);
        for (int r = 0; r < rows.Length; r++)
        {
            if (slotOfRow[r] > 0)
                Fill(rows[r], slotOfRow[r], drawIndex?[r] ?? 0);
        }

        float[] logits = [.. rows.SelectMany(r => r.Logits.Concat(Tail))];
        scratch = SamplingScratch.In(device.Poisoned<byte>(SamplingScratch.SizeInBytes(rows.Length)), rows.Length);
        ids = device.Poisoned<int>(rows.Length);
        logProbs = new LogProbs(
            device.Poisoned<float>(rows.Length), device.Poisoned<int>(rows.Length, 20), device.Poisoned<float>(rows.Length, 20));
        launches = Sampling.Bind(
            tier.Loader, device.Upload(logits, rows.Length, vocabulary + Tail.Length), vocabulary,
                device.Upload(slotOfRow), slots, scratch, ids, logProbs);
    }

    public ulong[] Cutoffs => device.Download(scratch.Cutoff);

    public int[] DrawIndex => device.Download(slots.DrawIndex);

    public float[] DrawnLogProbs => device.Download(logProbs.Drawn);

    public int[] TopIds => device.Download(logProbs.TopIds);

    public float[] TopLogProbs => device.Download(logProbs.Top);

    public int[] Seen(int slot) => device.Download(slots.Seen.Row(slot));

    /// <summary>One step: an id for each row.</summary>
    public int[] Step()
    {
        device.Run(launches);
        return device.Download(ids);
    }

    /// <summary>The same by so many threads' parts in turn.</summary>
    public int[] StepInParts(int threads)
    {
        foreach (Launch launch in launches)
        {
            for (int thread = 0; thread < threads; thread++)
                launch.CpuPart!(thread, threads);
        }

        return device.Download(ids);
    }

    private void Fill(SamplingReferenceRow row, int slot, int drawIndex)
    {
        Copy(slots.Parameters.SubView(slot, 1), [row.Parameters]);
        Copy(slots.DrawIndex.SubView(slot, 1), [drawIndex]);
        if (row.Bias is not null)
            Copy(slots.Bias.Row(slot), row.Bias);
        if (row.Allowed is not null)
        {
            var words = new uint[slots.Allowed.Columns];
            for (int id = 0; id < row.Allowed.Length; id++)
                words[id / 32] |= row.Allowed[id] ? 1u << (id % 32) : 0;
            Copy(slots.Allowed.Row(slot), words);
        }

        if (row.Generated is not null)
        {
            Copy(
                slots.Seen.Row(slot),
                [.. row.Generated.Select((count, id) => count | (row.InPrompt![id] ? SamplingSlots.InPrompt : 0))]);
        }
    }

    private void Copy<T>(ArrayView<T> view, T[] values)
        where T : unmanaged
    {
        view.CopyFromCPU(device.Stream, values);
        device.Stream.Synchronize();
    }
}
