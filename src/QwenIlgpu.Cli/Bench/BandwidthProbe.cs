using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Bench;

/// <summary>The bandwidth that steps are judged by: how fast the device streams through memory that it only reads.</summary>
internal static class BandwidthProbe
{
    // Several times the caches of a GPU.
    private const long GpuBytes = 1L << 30;
    private const int Rounds = 7;
    private const int LaunchesPerRound = 4;

    /// <summary>Bytes a second: on the CPU of its threads' vector reads, on a GPU of a kernel, the median of several rounds.</summary>
    public static double MeasureBytesPerSecond(ComputeDevice device)
    {
        if (device.IsCpu)
            return StreamRead.MeasureBytesPerSecond(device.Loader.Cpu.Count);
        device.Bind();
        using var memory = new DeviceMemory(device);
        const long Words = GpuBytes / 16;
        ArrayView<UInt4> source = memory.AllocateZeroed<UInt4>(Words);
        ArrayView<uint> sums = memory.Allocate<uint>(Words / ReadWordsKernel.WordsPerItem);
        Launch read = device.Loader.Bind(ReadWordsKernel.ReadWords, new ReadWordsKernel(source, sums));
        double[] speeds = [.. Enumerable.Range(0, Rounds + 1).Select(_ => Words * 16.0 * LaunchesPerRound / Seconds(device, read)).Skip(1).Order()];
        return speeds[Rounds / 2];
    }

    private static double Seconds(ComputeDevice device, Launch read)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < LaunchesPerRound; i++)
            read.Run(device.Stream);
        device.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
