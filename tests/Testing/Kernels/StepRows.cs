using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Testing;

/// <summary>The rows of a step on a device, as operations on slots take them.</summary>
internal static class StepRows
{
    public static SlotRows UploadRows(this KernelDevice device, int[] firstRow, int[] positions, int[] stateSlot) =>
        new(device.Upload(firstRow), device.Upload(positions), device.Upload(stateSlot));

    /// <summary>With room for so many chunks.</summary>
    public static ChunkList UploadChunks(this KernelDevice device, int[] firstRow, int[] positions, int capacity)
    {
        (int[] chunkFirstRow, int[] chunkRows, int[] firstChunk) = (new int[capacity], new int[capacity], new int[firstRow.Length]);
        ChunkList.Build(firstRow, positions, chunkFirstRow, chunkRows, firstChunk);
        return new ChunkList(device.Upload(chunkFirstRow), device.Upload(chunkRows), device.Upload(firstChunk));
    }
}
