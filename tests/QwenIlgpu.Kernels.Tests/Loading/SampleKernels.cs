using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>y[i] = factor · x[i], one element a thread of groups.</summary>
[LaunchBounds(64, MinGroups = 2)]
public readonly struct ScaleGroupKernel(ArrayView<float> x, ArrayView<float> y, float factor) : IGroupKernel
{
    public static void Scale(ScaleGroupKernel kernel) => kernel.Execute();

    public void Execute()
    {
        int i = Grid.GlobalIndex.X;
        if (i < y.Length)
            y[i] = factor * x[i];
    }
}

/// <summary>A kernel for sm_90 and later that may start before its predecessor ends.</summary>
[RequiresArchitecture(9, 0)]
[WaitsForPredecessor]
public readonly struct HopperKernel(ArrayView<int> y) : IGroupKernel
{
    public static void Hopper(HopperKernel kernel) => kernel.Execute();

    public void Execute() => y[Group.IdxX] = 1;
}

/// <summary>A kernel that does what no GPU can.</summary>
public readonly struct ThrowingKernel(int value) : IGroupKernel
{
    public static void Throwing(ThrowingKernel kernel) => kernel.Execute();

    public void Execute() => throw new InvalidOperationException($"{value}");
}

/// <summary>Operands of every width, in an order that needs padding.</summary>
public readonly struct PaddedKernel(byte small, ArrayView<ushort> view, PaddedPart part, long wide, SampleChoice choice, double real)
    : IGroupKernel
{
    public static void Padded(PaddedKernel kernel) => kernel.Execute();

    public void Execute() => view[0] = (ushort)(small + part.Half + part.Whole + wide + (int)choice + (long)real);
}

/// <summary>An operand inside an operand.</summary>
public readonly record struct PaddedPart(ushort Half, uint Whole);

/// <summary>An operand that is an enum.</summary>
public enum SampleChoice
{
    /// <summary>0.</summary>
    None,

    /// <summary>1.</summary>
    One,
}
