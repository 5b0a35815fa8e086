namespace QwenIlgpu.PtxMachine;

/// <summary>A parsed and decoded PTX text.</summary>
public sealed class PtxModule
{
    /// <summary>The entries, by name.</summary>
    public IReadOnlyDictionary<string, PtxKernel> Kernels { get; private init; } = new Dictionary<string, PtxKernel>();

    /// <exception cref="PtxException">The text is no PTX, or names an instruction that the machine does not know; the message has the line.</exception>
    public static PtxModule Parse(string text) => throw new NotImplementedException();
}

/// <summary>An entry of a module.</summary>
public sealed class PtxKernel
{
    public required string Name { get; init; }

    /// <summary>Bytes of the parameter buffer.</summary>
    public required int ParameterBytes { get; init; }

    /// <summary>Static shared memory of a group.</summary>
    public required int SharedBytes { get; init; }

    /// <summary>The most threads a group may have by <c>.maxntid</c>; 1024 without one.</summary>
    public required int MaxGroupThreads { get; init; }
}

/// <summary>A text that the machine cannot run, with the line of the trouble.</summary>
public sealed class PtxException(int line, string message) : Exception($"line {line}: {message}")
{
    public int Line { get; } = line;
}
