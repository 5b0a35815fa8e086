namespace QwenIlgpu;

/// <summary>
/// What a model and an engine take of a device, part by part. An engine allocates what its plan says, once, when it is made, so that a plan
/// made before anything is loaded tells what loading takes.
/// </summary>
internal sealed record MemoryPlan
{
    /// <summary>What the engine holds, the length of a prefill step and what it may take of the host included.</summary>
    public required EngineCapacity Capacity { get; init; }

    /// <summary>Memory that there is for all of it.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The model's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Keys and values of all tokens, without the reserved page.</summary>
    public required long CacheBytes { get; init; }

    /// <summary>Recurrent states of all sequences.</summary>
    public required long RecurrentBytes { get; init; }

    /// <summary>Convolution tails of all sequences.</summary>
    public required long ConvTailBytes { get; init; }

    /// <summary>States and tails of all sequences, which do not grow with their length.</summary>
    public long StateBytes => RecurrentBytes + ConvTailBytes;

    /// <summary>States and tails that the prefix cache keeps on the device.</summary>
    public required long SnapshotBytes { get; init; }

    /// <summary>Page table, inputs of a step, sampling, and what padding rows write to.</summary>
    public required long BufferBytes { get; init; }

    /// <summary>The arena of the largest step, of prompts or of decoding.</summary>
    public required long ActivationBytes { get; init; }

    /// <summary>Room for the CUDA graphs of decode steps; the driver takes it when they are captured.</summary>
    public required long GraphBytes { get; init; }

    /// <summary>Room for the driver's context and kernels where the memory is a card's, not what a device has free.</summary>
    public required long DriverBytes { get; init; }

    /// <summary>What a model of as many layers, each with full attention, would take for the same tokens in bf16.</summary>
    public required long TwinBytes { get; init; }

    /// <summary>What is allocated besides weights and activations.</summary>
    public long HeldBytes => CacheBytes + StateBytes + SnapshotBytes + BufferBytes;

    /// <summary>All parts.</summary>
    public long TotalBytes => WeightBytes + HeldBytes + ActivationBytes + GraphBytes + DriverBytes;

    /// <summary>Whether there is memory for all parts.</summary>
    public bool Fits => TotalBytes <= MemoryBytes;

    /// <summary>How many percent of <see cref="TwinBytes"/> cache, states and tails save.</summary>
    public double SavedPercent => 100 * (1 - ((CacheBytes + StateBytes) / (double)TwinBytes));

    /// <summary>Every part with its name, largest kinds first as they are made.</summary>
    public IReadOnlyList<MemoryPart> Parts =>
    [
        new("weights", WeightBytes), new("cache", CacheBytes), new("states", StateBytes), new("snapshots", SnapshotBytes),
        new("activations", ActivationBytes), new("graphs", GraphBytes), new("buffers", BufferBytes), new("driver", DriverBytes),
    ];
}

/// <summary>A part of a plan.</summary>
/// <param name="Name">What it is, in one word.</param>
/// <param name="Bytes">What it takes.</param>
internal readonly record struct MemoryPart(string Name, long Bytes);
