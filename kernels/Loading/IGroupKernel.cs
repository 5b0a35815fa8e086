namespace QwenIlgpu.Kernels;

/// <summary>
/// A kernel written for whole groups of threads: barriers, warps, shared memory. Its fields are its operands; its static entry,
/// named after the op, takes nothing but the kernel and calls <see cref="Execute"/>.
/// </summary>
internal interface IGroupKernel
{
    /// <summary>What one thread of a group does.</summary>
    void Execute();
}
