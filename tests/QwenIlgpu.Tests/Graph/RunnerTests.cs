using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class RunnerTests
{
    private ComputeDevice device = null!;
    private DeviceMemory memory = null!;

    [SetUp]
    public void Open()
    {
        device = ComputeDevice.OpenCpu();
        memory = new DeviceMemory(device);
    }

    [TearDown]
    public void Close()
    {
        memory.Dispose();
        device.Dispose();
    }

    [Test]
    public void CheckedRunNamesTheFirstNodeThatLeavesNaN()
    {
        (OpGraph graph, ArrayView<byte> arena) = TwoNorms(float.NaN);

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => CheckedRunner.Run(graph, device.Stream, arena))!;

        Assert.That(error.Message, Does.Contain("node 1 (layers.7.mlp: second)").And.Contain("y [2, 3] holds NaN at row 0, column 1"));
    }

    [Test]
    public void CheckedRunNamesANodeThatWritesNothing()
    {
        var graph = new OpGraph("lazy");
        Tensor y = graph.NewTensor("y", 1, 4);
        graph.Add("forgets", [], [y], 0, () => []);
        ArrayView<byte> arena = Bind(graph);

        Assert.That(() => CheckedRunner.Run(graph, device.Stream, arena), Throws.InvalidOperationException.With.Message.Contains("forgets"));
    }

    [Test]
    public void CheckedRunLetsFiniteValuesPass()
    {
        (OpGraph graph, ArrayView<byte> arena) = TwoNorms(1);

        Assert.That(() => CheckedRunner.Run(graph, device.Stream, arena), Throws.Nothing);
    }

    [Test]
    public void TimedRunHasOneTimePerNode()
    {
        (OpGraph graph, _) = TwoNorms(1);

        IReadOnlyList<NodeTime> times = TimedRunner.Run(graph, device, runs: 3);

        Assert.That(times.Select(t => t.Node), Is.EqualTo(graph.Nodes));
        Assert.That(times, Has.All.Matches<NodeTime>(t => t!.Microseconds > 0 && t.GigabytesPerSecond > 0));
    }

    [Test]
    public void TableHasALinePerNode()
    {
        (OpGraph graph, _) = TwoNorms(1);
        var text = new StringWriter();

        graph.WriteTable(text, 1e9);

        Assert.That(text.ToString(), Does.Contain("test: 2 nodes, 2 launches").And.Contain("layers.7.mlp").And.Contain("x [2, 3] → y [2, 3]"));
    }

    // x = norm(source); y = norm(x) with one weight that is `bad`.
    private (OpGraph Graph, ArrayView<byte> Arena) TwoNorms(float bad)
    {
        ArrayView<float> ones = Upload([1, 1, 1]);
        ArrayView<float> weights = Upload([1, bad, 1]);
        var source = new Matrix<float>(Upload([1, 2, 3, 4, 5, 6]), 2, 3);
        var graph = new OpGraph("test");
        Tensor x = graph.NewTensor("x", 2, 3);
        Tensor y = graph.NewTensor("y", 2, 3);
        graph.Add("first", [], [x], 0, () => [RmsNorm.Bind(device.Loader, source, ones, x.View, 1e-6f)]);
        graph.Scoped(new LayerScope(7, "mlp"), () =>
        {
            graph.Add("second", [x], [y], 0, () => [RmsNorm.Bind(device.Loader, x.View, weights, y.View, 1e-6f)]);
            return 0;
        });
        return (graph, Bind(graph));
    }

    private ArrayView<byte> Bind(OpGraph graph)
    {
        graph.Plan();
        ArrayView<byte> arena = memory.Allocate<byte>(graph.ArenaBytes);
        graph.Bind(arena);
        return arena;
    }

    private ArrayView<float> Upload(float[] values)
    {
        ArrayView<float> view = memory.Allocate<float>(values.Length);
        view.CopyFromCPU(device.Stream, values);
        device.Synchronize();
        return view;
    }
}
