using System.Globalization;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The node list of one step shape: recorded once, planned, bound to memory, then run every step. Everything that changes from
/// step to step lies in device buffers, so that a run is the same sequence of launches each time.
/// </summary>
internal sealed class OpGraph(string name)
{
    private readonly List<Node> nodes = [];
    private readonly Stack<LayerScope> scopes = new();
    private Launch[] launches = [];

    public string Name { get; } = name;

    public IReadOnlyList<Node> Nodes => nodes;

    /// <summary>All launches of a run, in order; empty until bound.</summary>
    public ReadOnlySpan<Launch> Launches => launches;

    public long ArenaBytes { get; private set; }

    public Tensor NewTensor(string tensorName, int rows, int columns, TensorRole role = TensorRole.Activation) =>
        new(tensorName, rows, columns, role);

    /// <summary>
    /// Appends a node. <paramref name="otherBytes"/>: weights, state and cache that it moves; <paramref name="bytesPerContextToken"/>: cache
    /// besides, for each token of context; <paramref name="launches"/>: how many it binds; <paramref name="matMul"/>: what a prefill matmul
    /// multiplies; <paramref name="multiplyAdds"/>: how many there are where there are many; <paramref name="work"/>: what takes its time.
    /// </summary>
    public void Add(
        string op, Tensor[] reads, Tensor[] writes, long otherBytes, Func<Launch[]> bind, long bytesPerContextToken = 0, int launches = 1,
        PrefillShape? matMul = null, long multiplyAdds = 0, NodeWork work = NodeWork.Memory) => nodes.Add(new Node(
            scopes.TryPeek(out LayerScope? scope) ? scope : null, op, reads, writes, otherBytes, bind, bytesPerContextToken, launches,
            matMul, multiplyAdds, work));

    /// <summary>Nodes recorded inside <paramref name="record"/> carry this scope.</summary>
    public T Scoped<T>(LayerScope scope, Func<T> record)
    {
        scopes.Push(scope);
        T result = record();
        scopes.Pop();
        return result;
    }

    /// <summary>Decides where every tensor lies.</summary>
    public void Plan() => ArenaBytes = BufferPlan.Assign(nodes);

    /// <summary>Binds every node to its operands in this arena. Compiles kernels that are not loaded yet.</summary>
    public void Bind(ArrayView<byte> arena)
    {
        if (arena.Length < ArenaBytes)
            throw new ArgumentException($"graph {Name} needs an arena of {ArenaBytes} bytes, got {arena.Length}");
        foreach (Tensor tensor in nodes.SelectMany(n => n.Writes).Distinct())
        {
            ArrayView<float> data = arena.SubView(tensor.OffsetBytes, tensor.SizeBytes).Cast<float>();
            tensor.View = new Matrix<float>(data, tensor.Rows, tensor.Columns);
        }

        foreach (Node node in nodes)
            node.Bind();
        launches = [.. nodes.SelectMany(n => n.Launches)];
    }

    /// <summary>One line a node: scope, op, reads, writes, bytes, and the time those bytes take at the given bandwidth.</summary>
    public void WriteTable(TextWriter writer, double bandwidthBytesPerSecond)
    {
        writer.WriteLine($"{Name}: {nodes.Count} nodes, {launches.Length} launches, arena {ArenaBytes} bytes");
        for (int i = 0; i < nodes.Count; i++)
        {
            Node node = nodes[i];
            double microseconds = node.MovedBytes / bandwidthBytesPerSecond * 1e6;
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{i,4} {node.Scope,-24} {node.Op,-18} {string.Join(", ", node.Reads)} → {string.Join(", ", node.Writes)}  {node.MovedBytes} B  {microseconds:F1} µs"));
        }
    }
}
