using IoPath = System.IO.Path;

namespace QwenIlgpu.Testing;

/// <summary>A directory that lives as long as one test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("qwen-tests-").FullName;

    public string File(string name) => IoPath.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
