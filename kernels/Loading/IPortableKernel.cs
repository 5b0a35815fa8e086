namespace QwenIlgpu.Kernels;

/// <summary>
/// A kernel of the portable tier: independent work items, no barriers, no intrinsics, so that it runs on every accelerator.
/// Its fields are its operands.
/// </summary>
internal interface IPortableKernel
{
    /// <summary>Number of work items.</summary>
    int Items { get; }

    /// <summary>Computes one work item; it may write only what no other item reads or writes.</summary>
    void Execute(int item);
}
