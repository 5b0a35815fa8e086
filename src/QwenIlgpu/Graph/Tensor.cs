using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>An activation of one step, [Rows, Columns] float, whose memory the graph's <see cref="BufferPlan"/> decides.</summary>
internal sealed class Tensor(string name, int rows, int columns, TensorRole role)
{
    private Matrix<float> view;

    public string Name { get; } = name;

    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public TensorRole Role { get; } = role;

    public long SizeBytes => (long)Rows * Columns * sizeof(float);

    /// <summary>Offset into the arena, a multiple of 256 bytes; set when the graph is planned.</summary>
    public long OffsetBytes { get; set; } = -1;

    /// <summary>The memory; there once the graph is bound.</summary>
    public Matrix<float> View
    {
        get => OffsetBytes >= 0 ? view : throw new InvalidOperationException($"tensor {this} is used before its graph is bound");
        set => view = value;
    }

    public override string ToString() => $"{Name} [{Rows}, {Columns}]";
}

/// <summary>How long a tensor lives and what may be said of its contents.</summary>
internal enum TensorRole
{
    /// <summary>Written whole by one node, dead after its last reader.</summary>
    Activation,

    /// <summary>Working memory inside one op; may be written in part.</summary>
    Scratch,

    /// <summary>Read by the host after the step: lives to the end.</summary>
    Output,
}
