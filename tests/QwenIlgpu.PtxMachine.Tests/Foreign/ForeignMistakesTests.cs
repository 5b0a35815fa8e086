namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Kernels in CUDA, compiled by clang, that do what no kernel may, or are launched so that they must.</summary>
[TestFixture(0)]
[TestFixture(1)]
[TestFixture(2)]
internal sealed class ForeignMistakesTests(int seed)
{
    [Test]
    public void SeesWhatIsReadOrWrittenBeyondAnArray()
    {
        using var kernels = new ForeignKernels("vector_add.ptx", seed);
        nint five = kernels.Upload(new float[5]);
        nint six = kernels.Upload(new float[6]);
        GridShape shape = ForeignKernels.Line(1, 32);

        Assert.Multiple(() =>
        {
            Assert.That(FaultsOf(() => kernels.Launch("add", shape, six, six, five, 6)), Has.Member(FaultKind.OutOfBounds));
            Assert.That(FaultsOf(() => kernels.Launch("add", shape, five, six, six, 6)), Has.Member(FaultKind.OutOfBounds));
            Assert.That(FaultsOf(() => kernels.Launch("add", shape, six, six, six, 6)), Is.Empty);
        });
    }

    [Test]
    public void SeesASharedArrayThatIsTooSmall()
    {
        using var kernels = new ForeignKernels("transpose.ptx", seed);
        nint a = kernels.Upload(new float[256]);
        nint d = kernels.Allocate<float>(256);

        // The last element stands in row 15, column 15 of 17.
        GridShape Shape(int bytes) => new(1, 1, 1, 16, 8, 1, (uint)bytes);
        Assert.Multiple(() =>
        {
            Assert.That(FaultsOf(() => kernels.Launch("transpose", Shape(1083), d, a, 16, 16)), Has.Member(FaultKind.OutOfBounds));
            Assert.That(FaultsOf(() => kernels.Launch("transpose", Shape(1084), d, a, 16, 16)), Is.Empty);
        });
    }

    [Test]
    public void SeesWhatNothingWrote()
    {
        using var kernels = new ForeignKernels("reduce.ptx", seed);
        nint results = kernels.Allocate<int>(32);

        Assert.That(
            FaultsOf(() => kernels.Launch(
                "scan_and_compact", ForeignKernels.Line(1, 32), results, results, results, kernels.Allocate<int>(32))),
            Has.Member(FaultKind.UnwrittenMemory));
    }

    [TestCase("no_barrier", 1, 64, FaultKind.SharedRace)]
    [TestCase("no_wait", 1, 64, FaultKind.PendingCopy)]
    [TestCase("some_leave_before_the_barrier", 1, 64, FaultKind.ExitAtBarrier)]
    [TestCase("some_shuffle", 1, 32, FaultKind.Divergence)]
    [TestCase("all_write_one_word", 2, 1, FaultKind.GlobalRace)]
    [TestCase("odd_address", 1, 32, FaultKind.Misaligned)]
    public void SeesTheMistake(string kernel, int groups, int threads, FaultKind kind)
    {
        using var kernels = new ForeignKernels("mistakes.ptx", seed);
        nint[] buffers = [kernels.Upload([.. Enumerable.Range(0, 256)]), kernels.Upload(new float[256])];
        object[] arguments = kernel is "no_wait" or "odd_address" ? [buffers[0], buffers[1]] : [buffers[0]];

        Assert.That(FaultsOf(() => kernels.Launch(kernel, ForeignKernels.Line(groups, threads), arguments)), Has.Member(kind));
    }

    [Test]
    public void SeesATicketThatOrdersNothing()
    {
        using var kernels = new ForeignKernels("mistakes.ptx", seed);
        nint sum = kernels.Allocate<int>(1);
        nint parts = kernels.Allocate<int>(9);
        nint ticket = kernels.Upload(0);

        Assert.That(
            FaultsOf(() => kernels.Launch("no_fence", ForeignKernels.Line(9, 32), sum, parts, ticket)), Has.Member(FaultKind.GlobalRace));
    }

    // One mistake may break several rules: what is read before a barrier that is not there was perhaps not written yet.
    private static FaultKind[] FaultsOf(Action launch)
    {
        try
        {
            launch();
            return [];
        }
        catch (FaultException exception)
        {
            return [.. exception.Faults.Select(fault => fault.Kind)];
        }
    }
}
