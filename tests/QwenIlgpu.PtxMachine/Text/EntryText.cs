namespace QwenIlgpu.PtxMachine;

/// <summary>An array in a group's shared memory; a dynamic one has what the launch asks for.</summary>
internal sealed record SharedArray(string Name, int AlignmentBytes, int Bytes, bool IsDynamic);

/// <summary>An entry as it was read.</summary>
internal sealed class EntryText(string name, Dictionary<string, SharedArray> shared)
{
    private const int LargestGroup = 1024;

    private readonly Dictionary<string, int> parameters = [];

    public string Name { get; } = name;

    public int MaxGroupThreads { get; set; } = LargestGroup;

    public int MinGroups { get; set; } = 1;

    public int ParameterBytes { get; private set; }

    /// <summary>Where each parameter lies in the buffer.</summary>
    public IReadOnlyDictionary<string, int> Parameters => parameters;

    public Dictionary<string, SharedArray> Shared { get; } = shared;

    public SlotPlan Slots { get; } = new();

    public List<Statement> Statements { get; } = [];

    /// <summary>The statement that each label stands before.</summary>
    public Dictionary<string, int> Labels { get; } = [];

    public Dictionary<string, BranchTargets> Targets { get; } = [];

    public void AddParameter(string parameter, int alignmentBytes, int bytes)
    {
        int offset = (ParameterBytes + alignmentBytes - 1) / alignmentBytes * alignmentBytes;
        parameters.Add(parameter, offset);
        ParameterBytes = offset + bytes;
    }
}
