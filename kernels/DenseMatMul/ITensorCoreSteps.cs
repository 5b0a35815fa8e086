namespace QwenIlgpu.Kernels;

/// <summary>
/// The two steps of a tensor-core matmul whose omission no type and no compiler notices. A type parameter, so that a test can leave one
/// out and see its assertions fail.
/// </summary>
internal interface ITensorCoreSteps
{
    /// <summary>Waits until the stage that is computed next has arrived.</summary>
    static abstract void AwaitStage();

    /// <summary>Row of the 16 of an A fragment that a lane names to ldmatrix.</summary>
    static abstract int FragmentRow(int lane);
}

/// <summary>As it has to be.</summary>
internal readonly struct TensorCoreSteps : ITensorCoreSteps
{
    public static void AwaitStage() => AsyncCopy.Wait0();

    public static int FragmentRow(int lane) => lane & 15;
}
