using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Divides by a literal, by a property of a type argument, by what is computed of one, and in methods that it calls.</summary>
internal readonly struct DividingKernel<TRows>(ArrayView<int> y, int divisor) : IGroupKernel
    where TRows : struct, IDividedRows
{
    private const int Words = 16;

    public static void Dividing(DividingKernel<TRows> kernel) => kernel.Execute();

    public void Execute()
    {
        int i = Group.IdxX - divisor;
        int triple = 3 * TRows.Rows;
        y[0] = (i / Words) + (i % TRows.Rows) + (i / TRows.Rows) + (i / triple);
        y[1] = DividedParts.Part(i, TRows.Rows + 2) + TRows.Of(i);

        // None of these counts: unsigned, of constants, by a number that only the launch knows, of floats.
        y[2] = (int)((uint)i / 16) + (TRows.Rows / 2) + (i / divisor) + (int)(i / 16f) + (i >> 2);
    }
}

/// <summary>A size that a kernel knows by its type argument.</summary>
internal interface IDividedRows
{
    static abstract int Rows { get; }

    static abstract int Of(int item);
}

/// <summary>Four of them.</summary>
internal readonly struct FourRows : IDividedRows
{
    public static int Rows => 4;

    public static int Of(int item) => item / 2;
}

/// <summary>Divides by an argument.</summary>
internal static class DividedParts
{
    public static int Part(int item, int parts) => (item / parts) + (item % parts);
}
