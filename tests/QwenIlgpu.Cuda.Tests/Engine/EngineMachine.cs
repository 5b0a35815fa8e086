using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Cuda.Tests;

internal static class EngineMachine
{
    private static readonly Machine machine = new(new MachineOptions { Sanitizes = TestContext.Parameters.Get("sanitizes", "no") == "yes", Declared = MachineDeclarations.All });

    public static Machine Install()
    {
        MachineDriver.Install(machine);
        return machine;
    }
}
