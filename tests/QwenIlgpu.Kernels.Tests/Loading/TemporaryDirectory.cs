using IoPath = System.IO.Path;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>A directory that lives as long as one test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("qwen-kernel-tests-").FullName;

    public string File(string name) => IoPath.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
