namespace QwenIlgpu.Kernels.Tests;

/// <summary>Computes on a stage without waiting for its copies.</summary>
internal readonly struct WithoutWait : ITensorCoreSteps
{
    public static void AwaitStage()
    {
    }

    public static int FragmentRow(int lane) => TensorCoreSteps.FragmentRow(lane);
}

/// <summary>Waits for every copy but those of the stage that is computed.</summary>
internal readonly struct WaitOneGroupShort : ITensorCoreSteps
{
    public static void AwaitStage() => AsyncCopy.Wait1();

    public static int FragmentRow(int lane) => TensorCoreSteps.FragmentRow(lane);
}

/// <summary>Loads rows 6 and 7 of each A fragment in each other's place.</summary>
internal readonly struct SwappedFragmentRow : ITensorCoreSteps
{
    public static void AwaitStage() => TensorCoreSteps.AwaitStage();

    public static int FragmentRow(int lane)
    {
        int row = TensorCoreSteps.FragmentRow(lane);
        return row == 6 ? 7 : row == 7 ? 6 : row;
    }
}
