namespace QwenIlgpu.Tests;

internal sealed class BufferPlanTests
{
    [Test]
    public void TensorsThatLiveTogetherNeverOverlap()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            List<Node> nodes = RandomGraph(new Random(seed));
            long arenaBytes = BufferPlan.Assign(nodes);

            Dictionary<Tensor, (int First, int Last)> lifetimes = BufferPlan.Lifetimes(nodes);
            Tensor[] tensors = [.. lifetimes.Keys];
            foreach (Tensor a in tensors)
            {
                Assert.That(a.OffsetBytes % 256, Is.Zero);
                Assert.That(a.OffsetBytes + a.SizeBytes, Is.LessThanOrEqualTo(arenaBytes));
                foreach (Tensor b in tensors.Where(b => b != a))
                {
                    bool together = lifetimes[a].First <= lifetimes[b].Last && lifetimes[b].First <= lifetimes[a].Last;
                    bool overlap = a.OffsetBytes < b.OffsetBytes + b.SizeBytes && b.OffsetBytes < a.OffsetBytes + a.SizeBytes;
                    Assert.That(together && overlap, Is.False, $"seed {seed}: {a} and {b}");
                }
            }
        }
    }

    [Test]
    public void ChainReusesMemoryOfDeadTensors()
    {
        var graph = new OpGraph("chain");
        Tensor previous = graph.NewTensor("t0", 1, 1000);
        graph.Add("first", [], [previous], 0, () => []);
        for (int i = 1; i < 10; i++)
        {
            Tensor next = graph.NewTensor($"t{i}", 1, 1000);
            graph.Add("next", [previous], [next], 0, () => []);
            previous = next;
        }

        graph.Plan();

        Assert.That(graph.ArenaBytes, Is.EqualTo(2 * 4096));
    }

    [Test]
    public void OutputLivesToTheEnd()
    {
        var graph = new OpGraph("output");
        Tensor output = graph.NewTensor("output", 1, 64, TensorRole.Output);
        Tensor later = graph.NewTensor("later", 1, 64);
        graph.Add("first", [], [output], 0, () => []);
        graph.Add("second", [], [later], 0, () => []);

        graph.Plan();

        Assert.That(later.OffsetBytes, Is.Not.EqualTo(output.OffsetBytes));
    }

    [Test]
    public void RejectsTensorReadBeforeItIsWritten()
    {
        var graph = new OpGraph("wrong");
        Tensor never = graph.NewTensor("never", 1, 1);
        graph.Add("reader", [never], [], 0, () => []);

        Assert.That(graph.Plan, Throws.InvalidOperationException.With.Message.Contains("never [1, 1]"));
    }

    private static List<Node> RandomGraph(Random random)
    {
        var nodes = new List<Node>();
        var written = new List<Tensor>();
        for (int i = 0; i < 30; i++)
        {
            Tensor[] reads = [.. written.Where(_ => random.Next(written.Count) < 2)];
            Tensor[] writes =
            [
                .. Enumerable.Range(0, random.Next(1, 4)).Select(w =>
                    new Tensor($"t{i}.{w}", random.Next(1, 20), random.Next(1, 500), random.Next(10) == 0 ? TensorRole.Output : TensorRole.Activation)),
            ];
            nodes.Add(new Node(null, $"n{i}", reads, writes, 0, () => []));
            written.AddRange(writes);
        }

        return nodes;
    }
}
