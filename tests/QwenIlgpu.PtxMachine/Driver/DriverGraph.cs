namespace QwenIlgpu.PtxMachine;

/// <summary>A node: what it does, and the nodes that come before it.</summary>
internal sealed record GraphNode(DriverTask Task, int[] Follows)
{
    /// <summary>Of a launch's parameters, where calls are recorded.</summary>
    public ulong Hash { get; init; }

    public bool IsKernel => Task.Kind == TaskKind.Kernel;
}

/// <summary>A graph as it was captured.</summary>
internal sealed class DriverGraph(DriverContext context, IReadOnlyList<GraphNode> nodes) : IDriverObject
{
    public HandleKind Kind => HandleKind.Graph;

    public DriverContext Context { get; } = context;

    public IReadOnlyList<GraphNode> Nodes { get; } = nodes;

    /// <summary>Handles of the nodes, if anybody has asked for them.</summary>
    public nint[]? Handles { get; set; }

    public int Kernels { get; } = nodes.Count(n => n.IsKernel);
}

/// <summary>A node that a handle stands for.</summary>
internal sealed record DriverNode(DriverGraph Graph, int Index);

/// <summary>
/// A graph that can be launched. One launch of it runs at a time, and of that any nodes next whose predecessors are done.
/// </summary>
internal sealed class DriverExecutable : IDriverObject
{
    private readonly int[][] followers;
    private readonly int[] awaited;
    private readonly List<int> ready;
    private int left;

    public DriverExecutable(DriverGraph graph)
    {
        (Graph, Nodes) = (graph, graph.Nodes);
        int[] indices = [.. Enumerable.Range(0, Nodes.Count)];
        followers = Array.ConvertAll(indices, i => Array.FindAll(indices, n => Nodes[n].Follows.Contains(i)));
        awaited = new int[Nodes.Count];
        ready = new List<int>(Nodes.Count);
    }

    public HandleKind Kind => HandleKind.GraphExec;

    public DriverContext Context => Graph.Context;

    /// <summary>What it was made from.</summary>
    public DriverGraph Graph { get; }

    /// <summary>The nodes of launches to come.</summary>
    public IReadOnlyList<GraphNode> Nodes { get; private set; }

    /// <summary>Where it was launched last; the next launch follows.</summary>
    public DriverStream? LastStream { get; set; }

    public long LastNumber { get; set; }

    public bool IsDone => left == 0;

    public void Begin(IReadOnlyList<GraphNode> nodes)
    {
        left = nodes.Count;
        for (int i = 0; i < nodes.Count; i++)
        {
            awaited[i] = nodes[i].Follows.Length;
            if (awaited[i] == 0)
                ready.Add(i);
        }
    }

    /// <summary>A node that can run now, the first or any; null: there is none.</summary>
    public int? TakeReady(Random? random)
    {
        if (ready.Count == 0)
            return null;
        int place = random?.Next(ready.Count) ?? 0;
        int node = ready[place];
        ready.RemoveAt(place);
        return node;
    }

    /// <summary>A node is done.</summary>
    public void End(int node)
    {
        left--;
        foreach (int follower in followers[node])
        {
            if (--awaited[follower] == 0)
                ready.Add(follower);
        }
    }

    /// <summary>Does from the next launch on what a graph of the same shape does; what is queued stays as it was.</summary>
    /// <returns>Where they differ: their topology (2), the kind of a node (3) or its function (4); 0 where they do not.</returns>
    public int Update(DriverGraph graph)
    {
        if (graph.Nodes.Count != Nodes.Count)
            return 2;
        for (int i = 0; i < Nodes.Count; i++)
        {
            if (!graph.Nodes[i].Follows.AsSpan().SequenceEqual(Nodes[i].Follows))
                return 2;
            if (graph.Nodes[i].Task.Kind != Nodes[i].Task.Kind)
                return 3;
            if (!graph.Nodes[i].Task.Replaces(Nodes[i].Task))
                return 4;
        }

        Nodes = graph.Nodes;
        return 0;
    }

    /// <summary>Gives one node another task from the next launch on.</summary>
    public void Update(int index, DriverTask task)
    {
        GraphNode[] changed = [.. Nodes];
        changed[index] = changed[index] with { Task = task, Hash = MachineDriver.HashOf(task.Parameters) };
        Nodes = changed;
    }
}
