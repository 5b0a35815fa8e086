using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>A way in which the PTX machine runs the launches of a test: what any of them leaves must hold.</summary>
internal sealed record MachineSchedule(string Name, Func<MachineOptions, MachineOptions> Change)
{
    /// <summary>Property of tests that run under another schedule than the usual one.</summary>
    public const string Property = "MachineSchedule";

    /// <summary>Other orders of groups and warps, other moments at which copies land.</summary>
    public static MachineSchedule[] Seeds { get; } = [Seeded(1), Seeded(2), Seeded(3)];

    /// <summary>Tensor cores that drop what they may.</summary>
    public static MachineSchedule Cut { get; } = new("cut", o => o with { TensorCoreSums = TensorCoreSums.Cut });

    /// <summary>The schedule of the test that runs.</summary>
    public static MachineSchedule? Current =>
        TestContext.CurrentContext.Test.Properties.Get(Property) is string name ? Seeds.Append(Cut).Single(s => s.Name == name) : null;

    public static MachineSchedule Seeded(int seed) => new($"seed {seed}", o => o with { Seed = seed });
}
