using System.Globalization;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// One operation of a step: what it reads and writes, the bytes it must move besides those tensors (weights, state, cache), and
/// how to bind its launches once memory is planned.
/// </summary>
internal sealed class Node(
    LayerScope? scope, string op, Tensor[] reads, Tensor[] writes, long otherBytes, Func<Launch[]> bind, long bytesPerContextToken = 0,
    int launches = 1, PrefillShape? matMul = null, long multiplyAdds = 0, NodeWork work = NodeWork.Memory)
{
    /// <summary>Where in the layers the node was recorded; null before and behind them.</summary>
    public LayerScope? Scope { get; } = scope;

    public string Op { get; } = op;

    public IReadOnlyList<Tensor> Reads { get; } = reads;

    public IReadOnlyList<Tensor> Writes { get; } = writes;

    /// <summary>Least bytes moved: tensors read and written once, plus weights, state and cache.</summary>
    public long MovedBytes { get; } = reads.Where(t => t.Role != TensorRole.Scratch).Sum(t => t.SizeBytes)
        + writes.Where(t => t.Role != TensorRole.Scratch).Sum(t => t.SizeBytes) + otherBytes;

    /// <summary>
    /// Bytes of cache that are read for every token of context, of all sequences of the step: what the recording of a step cannot know, as
    /// it holds for every length.
    /// </summary>
    public long BytesPerContextToken { get; } = bytesPerContextToken;

    /// <summary>Multiplications with their additions, of nodes that do more than some for every element that they move; else 0.</summary>
    public long MultiplyAdds { get; } = multiplyAdds;

    /// <summary>Launches that binding yields.</summary>
    public int LaunchCount { get; } = launches;

    /// <summary>Of a prefill matmul, which has a token for each row that it reads first, what it multiplies; else null.</summary>
    public PrefillShape? MatMul { get; } = matMul;

    /// <summary>What decides how long the node takes, unless it is a prefill matmul.</summary>
    public NodeWork Work { get; } = work;

    /// <summary>Least bytes moved with so many tokens in the cache of each sequence.</summary>
    public long MovedBytesAt(int contextTokens) => MovedBytes + (BytesPerContextToken * contextTokens);

    public IReadOnlyList<Launch> Launches { get; private set; } = [];

    public void Bind() => Launches = bind();

    public override string ToString() => $"{Scope}: {Op}";
}

/// <summary>A part of a layer by its name in checkpoints: <c>layers.3.self_attn</c>.</summary>
internal sealed record LayerScope(int Layer, string Part)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"layers.{Layer}.{Part}");
}

/// <summary>What decides how long a node takes.</summary>
internal enum NodeWork
{
    /// <summary>The bytes that it moves.</summary>
    Memory,

    /// <summary>The products of prefill attention on tensor cores.</summary>
    PrefillAttention,

    /// <summary>The chunks of the gated delta rule on tensor cores.</summary>
    DeltaPrefill,
}
