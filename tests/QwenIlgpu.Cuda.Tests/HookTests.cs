using System.Diagnostics;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>The command line on the machine, which it knows nothing of: what tests/run-on-machine starts.</summary>
internal sealed class HookTests
{
    /// <summary>Whatever the driver's order, the architecture and the order of warps are.</summary>
    [TestCase("drawn", "0", "sm_90", "0")]
    [TestCase("drawn", "1", "sm_80", "1", Category = "Exhaustive")]
    [TestCase("drawn", "2", "sm_86", "1", Category = "Exhaustive")]
    [TestCase("late", "3", "sm_89", "1", Category = "Exhaustive")]
    [TestCase("at-once", "4", "sm_90", "1", Category = "Exhaustive")]
    public async Task TheMachineAnswersAsTheCpuDoes(string order, string seed, string architecture, string sanitizes)
    {
        string[] arguments = ["generate", "hi", "--greedy", "--max-tokens", "4", "--no-thinking"];
        (string, string)[] variables =
        [
            ("PTX_MACHINE_ORDER", order), ("PTX_MACHINE_SEED", seed), ("PTX_MACHINE_ARCHITECTURE", architecture), ("PTX_MACHINE_SANITIZES", sanitizes),
            ("PTX_MACHINE_REGISTERS", Path.Combine(AppContext.BaseDirectory, "data", "ptx-report.md")),
        ];

        (int code, string answer, string said) = await QwenAsync([.. arguments, "--device", "cuda"], variables);
        (_, string expected, _) = await QwenAsync([.. arguments, "--device", "cpu"]);

        Assert.That(code, Is.Zero, said);
        Assert.That(answer, Is.EqualTo(expected).And.Not.Empty);
    }

    [TestCase("PTX_MACHINE_SEED", "-1", "PTX_MACHINE_SEED is '-1', which is no whole number from 0 on")]
    [TestCase("PTX_MACHINE_SANITIZES", "yes", "PTX_MACHINE_SANITIZES is 'yes', which is neither 0 nor 1")]
    [TestCase("PTX_MACHINE_ARCHITECTURE", "sm_75", "PTX_MACHINE_ARCHITECTURE is 'sm_75', which is none of sm_80, sm_86, sm_89, sm_90")]
    [TestCase("PTX_MACHINE_ORDER", "any", "PTX_MACHINE_ORDER is 'any', which is none of at-once, drawn and late")]
    [TestCase("PTX_MACHINE_REGISTERS", "nowhere.md", "PTX_MACHINE_REGISTERS is 'nowhere.md', and there is no such file")]
    public async Task AWrongValueEndsWithOneSentence(string variable, string value, string sentence)
    {
        (int code, string answer, string said) = await QwenAsync(["doctor"], (variable, value));

        Assert.That((code, answer, said.Trim()), Is.EqualTo((2, "", sentence)));
    }

    private static async Task<(int Code, string Answer, string Said)> QwenAsync(string[] arguments, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Cli.BuildVersion).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_STARTUP_HOOKS"] = typeof(Machine).Assembly.Location;
        foreach ((string name, string value) in variables)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> said = process.StandardError.ReadToEndAsync();
        string answer = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, answer, await said);
    }
}
