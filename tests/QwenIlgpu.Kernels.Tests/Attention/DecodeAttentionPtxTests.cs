using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The machine code of decode attention: loops over slices unrolled, everything in registers.</summary>
[NonParallelizable]
internal sealed class DecodeAttentionPtxTests
{
    // A warp's sixteen keys take, per 64 dimensions, eight mma for the scores and eight for the values; a lane copies four words of K ahead
    // of the loop, and four of V and four of K in it.
    [TestCase("Head256", 8, 0, 64, 48, Category = "Exhaustive")]
    [TestCase("Head256", 9, 0, 64, 48)]
    [TestCase("Head128", 8, 0, 32, 24)]
    [TestCase("Head64", 8, 0, 16, 12)]
    public void UnrollsItsSlices(string head, int major, int minor, int mma, int copies)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        var architecture = new CudaArchitecture(major, minor);
        string ptx = PtxBuild.Shared.Text(KernelCatalogue.Named($"DecodeAttentionKernel<{head}>"), architecture);

        AssembledKernel used = ptxas.Assemble(ptx, architecture);

        TestContext.Out.WriteLine($"{head}, {architecture}: {used.Registers} registers");
        Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
        string machineCode = ptxas.Disassemble(ptx, architecture);
        if (Environment.GetEnvironmentVariable("DUMP") is { } dump)
            File.WriteAllText($"{dump}/{head}-{major}.sass", machineCode);
        Assert.That(Regex.Count(machineCode, @"\bHMMA.16816.F32.BF16\b"), Is.EqualTo(mma));
        Assert.That(Regex.Count(machineCode, @"\bLDGSTS.E.BYPASS.128\b"), Is.EqualTo(copies));
    }
}
