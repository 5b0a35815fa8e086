using System.Diagnostics;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class CpuSequenceTests : KernelTests
{
    [SetUp]
    public void NeedsACpuDevice()
    {
        if (TestDevice.Kind != "cpu")
            Assert.Ignore("sequences are for the CPU");
    }

    [Test]
    public void EveryThreadSeesWhatTheOthersWroteBefore([Values(1, 2)] int threads)
    {
        using var loader = new KernelLoader(Device.Accelerator, cpuThreads: threads);
        int[] counts = new int[threads];
        int mismatches = 0;
        Launch step = Launch((thread, _) => counts[thread]++);
        Launch look = Launch((_, of) =>
        {
            if (counts[..of].Distinct().Count() != 1)
                Interlocked.Increment(ref mismatches);
        });
        CpuSequence sequence = CpuSequence.Of([.. Enumerable.Range(0, 400).Select(i => (i % 2 == 0 ? step : look, true))]);

        loader.Cpu.Run(Device.Stream, sequence);

        Assert.That(counts, Has.All.EqualTo(200));
        Assert.That(mismatches, Is.Zero);
    }

    [Test]
    public void WhatIsNotSharedRunsOnceOnTheFirstThread()
    {
        var calls = new List<(int, int)>();
        Launch alone = Launch((thread, threads) => calls.Add((thread, threads)));
        CpuSequence sequence = CpuSequence.Of([(alone, false), (alone, false), (Launch((_, _) => { }), true), (alone, false)]);

        Device.Loader.Cpu.Run(Device.Stream, sequence);

        Assert.That(calls, Is.EqualTo(new[] { (0, 1), (0, 1), (0, 1) }));
    }

    [Test]
    public void AnExceptionReachesTheHostAndTheNextRunIsWhole()
    {
        bool fails = true;
        int after = 0;
        CpuSequence sequence = CpuSequence.Of(
        [
            (Launch((thread, _) => { if (fails && thread == 1) throw new InvalidOperationException("broken"); }), true),
            (Launch((_, _) => Interlocked.Increment(ref after)), true),
        ]);

        Assert.That(() => Device.Loader.Cpu.Run(Device.Stream, sequence), Throws.InvalidOperationException.With.Message.EqualTo("broken"));
        fails = false;
        after = 0;
        Device.Loader.Cpu.Run(Device.Stream, sequence);

        Assert.That(after, Is.EqualTo(Device.Loader.Cpu.Count));
    }

    [Test]
    public void TimesAddUpToTheRun()
    {
        CpuSequence sequence = CpuSequence.Of([(Launch((_, _) => Thread.SpinWait(20_000)), true), (Launch((_, _) => { }), false)]);
        Assert.That(sequence.Ticks.ToArray(), Has.All.Zero);
        long start = Stopwatch.GetTimestamp();

        Device.Loader.Cpu.Run(Device.Stream, sequence);

        long[] ticks = sequence.Ticks.ToArray();
        Assert.That(ticks[0], Is.Positive);
        Assert.That(ticks.Sum(), Is.LessThanOrEqualTo(Stopwatch.GetTimestamp() - start));
    }

    [Test]
    public void LaunchesFromSeveralThreadsFollowOneAnother()
    {
        int inside = 0;
        int overlaps = 0;
        CpuSequence sequence = CpuSequence.Of((thread, _) =>
        {
            if (thread == 0 && Interlocked.Increment(ref inside) > 1)
                overlaps++;
            Thread.SpinWait(100);
            if (thread == 0)
                Interlocked.Decrement(ref inside);
        });

        Parallel.For(0, 64, _ => Device.Loader.Cpu.Run(Device.Stream, sequence));

        Assert.That(overlaps, Is.Zero);
    }

    [Test]
    public void RejectsAKernelOfGroups() => Assert.That(
        () => CpuSequence.Of([(new Launch("group", 1, _ => { }), true)]),
        Throws.ArgumentException.With.Message.EqualTo("launch group is none of single CPU threads"));

    [Test]
    public void RejectsMoreThreadsThanThereAre() => Assert.That(
        () => new KernelLoader(Device.Accelerator, cpuThreads: Device.Accelerator.MaxNumThreads + 1),
        Throws.InstanceOf<ArgumentOutOfRangeException>());

    private static Launch Launch(Action<int, int> part) => new("test", 1, _ => { }) { CpuPart = part };
}
