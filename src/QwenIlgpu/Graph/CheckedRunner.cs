using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Runs a graph node by node on an arena filled with NaN, and stops at the first node that leaves a non-finite value in a
/// tensor it should have written whole.
/// </summary>
internal static class CheckedRunner
{
    /// <exception cref="InvalidOperationException">Names the node, the tensor, the element and its value.</exception>
    public static void Run(OpGraph graph, AcceleratorStream stream, ArrayView<byte> arena)
    {
        arena.MemSet(stream, 0xff);
        for (int i = 0; i < graph.Nodes.Count; i++)
        {
            Node node = graph.Nodes[i];
            foreach (Launch launch in node.Launches)
                launch.Run(stream);
            foreach (Tensor tensor in node.Writes.Where(t => t.Role != TensorRole.Scratch))
                Check(graph, i, tensor, stream);
        }
    }

    private static void Check(OpGraph graph, int index, Tensor tensor, AcceleratorStream stream)
    {
        var values = new float[tensor.View.Data.Length];
        tensor.View.Data.CopyToCPU(stream, values);
        stream.Synchronize();
        int bad = Array.FindIndex(values, v => !float.IsFinite(v));
        if (bad < 0)
            return;
        throw new InvalidOperationException(
            $"graph {graph.Name}, node {index} ({graph.Nodes[index]}): {tensor} holds {values[bad]} at row {bad / tensor.Columns}, column {bad % tensor.Columns}");
    }
}
