namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Launches of graphs, and changes of what was made from them.</summary>
[NonParallelizable]
internal sealed unsafe class DriverGraphTests
{
    private nint context;
    private nint stream;
    private nint other;
    private nint function;

    [SetUp]
    public void Open()
    {
        context = Driver.Open(Driver.Usual with { Order = WorkOrder.Late });
        (stream, other) = (Driver.NewStream(), Driver.NewStream());
        function = Driver.Function(Driver.Adder, "Add");
    }

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [Test]
    public void OneLaunchOfAGraphFollowsAnother()
    {
        nint target = Driver.Upload(0);
        nint graph = Driver.Instantiate(Adding(target, 1));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.cuGraphLaunch(graph, other));

        Driver.Check(Driver.cuStreamSynchronize(other));

        Assert.That(Driver.Peek(target), Is.EqualTo(2), "although nobody waits for the first");
    }

    [Test]
    public void AGraphIsOneOfTheThingsInItsStream()
    {
        nint target = Driver.Upload(5);
        nint graph = Driver.Instantiate(Adding(target, 1));
        Driver.Fill(target, 0, stream);
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.LaunchAdder(function, target, 10, stream));
        Driver.Check(Driver.cuGraphExecDestroy(graph));

        Driver.Check(Driver.cuStreamSynchronize(stream));

        Assert.That(Driver.Peek(target), Is.EqualTo(11), "destroyed only when it has run");
    }

    [Test]
    public void AnUpdateCountsFromTheNextLaunchOn()
    {
        nint target = Driver.Upload(0);
        nint graph = Driver.Instantiate(Adding(target, 1));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        nint* answer = stackalloc nint[3];

        Driver.Check(Driver.cuGraphExecUpdate_v2(graph, Adding(target, 10), answer));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.cuStreamSynchronize(stream));

        Assert.That(Driver.Peek(target), Is.EqualTo(11));
    }

    [TestCase("another node", 2)]
    [TestCase("another kind", 3)]
    [TestCase("another function", 4)]
    public void AnUpdateKeepsTheShape(string change, int reason)
    {
        nint target = Driver.Upload(0);
        nint graph = Driver.Instantiate(Adding(target, 1));
        nint second = Driver.Function(Driver.Adder.Replace(" Add(", " Sum(", StringComparison.Ordinal), "Sum");
        nint changed = Driver.Capture(stream, () =>
        {
            if (change == "another kind")
                Driver.Fill(target, 0, stream);
            else
                Driver.Check(Driver.LaunchAdder(change == "another function" ? second : function, target, 1, stream));
            if (change == "another node")
                Driver.Fill(target, 0, stream);
        });
        nint* answer = stackalloc nint[3];

        Assert.That(Driver.cuGraphExecUpdate_v2(graph, changed, answer), Is.EqualTo(910));
        Assert.That(*(int*)answer, Is.EqualTo(reason));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.cuStreamSynchronize(stream));
        Assert.That(Driver.Peek(target), Is.EqualTo(1), "it stays as it was");
    }

    [Test]
    public void ANodeGetsOtherParametersFromTheNextLaunchOn()
    {
        nint target = Driver.Upload(0);
        nint captured = Adding(target, 1);
        nint graph = Driver.Instantiate(captured);
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        nint node;
        nint count = 1;
        Driver.Check(Driver.cuGraphGetNodes(captured, &node, ref count));
        byte* buffer = stackalloc byte[12];
        *(nint*)buffer = target;
        *(int*)(buffer + 8) = 20;
        nint bytes = 12;
        nint* extra = stackalloc nint[] { 1, (nint)buffer, 2, (nint)(&bytes), 0 };
        nint* parameters = stackalloc nint[9];
        new Span<nint>(parameters, 9).Clear();
        parameters[0] = function;
        for (int i = 0; i < 6; i++)
            ((uint*)(parameters + 1))[i] = 1;
        parameters[6] = (nint)extra;

        Driver.Check(Driver.cuGraphExecKernelNodeSetParams_v2(graph, node, parameters));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.cuStreamSynchronize(stream));

        Assert.That(count, Is.EqualTo((nint)1));
        Assert.That(Driver.Peek(target), Is.EqualTo(21));
        nint another = Driver.Instantiate(Adding(target, 1));
        Assert.That(Driver.cuGraphExecKernelNodeSetParams_v2(another, node, parameters), Is.EqualTo(1), "a node of another graph");
    }

    private nint Adding(nint target, int value) =>
        Driver.Capture(stream, () => Driver.Check(Driver.LaunchAdder(function, target, value, stream)));
}
