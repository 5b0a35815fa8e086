using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>The bandwidth that steps are judged by: how fast the device streams through memory that it only reads.</summary>
internal static class BandwidthProbe
{
    // On a GPU several times its caches; on OpenCL little, as nobody waits for its figure.
    private const long GpuBytes = 1L << 30;
    private const long OtherBytes = 1L << 24;
    private const int Rounds = 7;
    private const int LaunchesPerRound = 4;

    /// <summary>Bytes a second: on the CPU of its threads' vector reads, elsewhere of a kernel, the median of several rounds.</summary>
    public static double MeasureBytesPerSecond(ComputeDevice device)
    {
        if (device.IsCpu)
            return StreamRead.MeasureBytesPerSecond(device.Loader.Cpu.Count);
        device.Bind();
        using var memory = new DeviceMemory(device);
        long words = (device.IsCuda ? GpuBytes : OtherBytes) / 16;
        ArrayView<UInt4> source = memory.AllocateZeroed<UInt4>(words);
        ArrayView<uint> sums = memory.Allocate<uint>(words / ReadWordsKernel.WordsPerItem);
        Launch read = device.Loader.Bind(ReadWordsKernel.ReadWords, new ReadWordsKernel(source, sums));
        double[] speeds = [.. Enumerable.Range(0, Rounds + 1).Select(_ => words * 16.0 * LaunchesPerRound / Seconds(device, read)).Skip(1).Order()];
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
