namespace QwenIlgpu.Kernels;

/// <summary>
/// The two steps of a prefill matmul whose omission no type and no compiler notices. A type parameter, so that a test can get one wrong
/// and see its assertions fail.
/// </summary>
internal interface IPrefillSteps
{
    /// <summary>Waits until the stage that is computed next has arrived; the one behind it may still be on its way.</summary>
    static abstract void AwaitStage();

    /// <summary>Token of the eight of a B fragment that a lane names to ldmatrix.</summary>
    static abstract int FragmentToken(int lane);
}

/// <summary>As it has to be.</summary>
internal readonly struct PrefillSteps : IPrefillSteps
{
    public static void AwaitStage() => AsyncCopy.Wait1();

    public static int FragmentToken(int lane) => lane & 7;
}
