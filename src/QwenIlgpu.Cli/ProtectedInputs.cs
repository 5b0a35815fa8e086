using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>
/// What a command reads and must not write over. It has been read or is kept open by the time that the output is written, but whoever names
/// it by mistake wants it back.
/// </summary>
internal static class ProtectedInputs
{
    /// <summary>Refuses an output that is a file of the checkpoint, or one of those that options name.</summary>
    /// <exception cref="UsageException">It is; the message says which.</exception>
    public static void Refuse(string option, string output, string modelDirectory, params ReadOnlySpan<(string Option, string? File)> inputs)
    {
        if (FileKinds.Of(output) is not (FileKind.Missing or FileKind.Regular) || OutputFile.TargetOf(output) is not { } target)
            return;
        foreach ((string inputOption, string? file) in inputs)
        {
            if (file is not (null or "-") && OutputFile.TargetOf(file) == target)
                throw new UsageException($"{option} {output} is the file of {inputOption}; name another");
        }

        if (FilesOf(modelDirectory).Any(f => OutputFile.TargetOf(Path.Combine(modelDirectory, f)) == target))
            throw new UsageException($"{option} {output} is a file of the checkpoint {modelDirectory}; name another");
    }

    // What a loader would read, whether it is there or not.
    private static IEnumerable<string> FilesOf(string modelDirectory)
    {
        const string Weights = "model.safetensors";
        string index = Path.Combine(modelDirectory, Weights + ".index.json");
        return
        [
            Weights,
            .. Directory.EnumerateFiles(modelDirectory).Where(f => Path.GetExtension(f) is ".json" or ".jinja" or ".txt"),
            .. FileKinds.Of(index) == FileKind.Regular ? ShardIndex.Load(index).Shards : [],
        ];
    }
}
