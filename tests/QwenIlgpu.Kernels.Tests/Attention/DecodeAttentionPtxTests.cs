using System.Text.RegularExpressions;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The machine code of decode attention: loops over slices unrolled, everything in registers, and no more of it than memory gives time for.
/// </summary>
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
        Assert.That(Regex.Count(machineCode, @"\bHMMA.16816.F32.BF16\b"), Is.EqualTo(mma));
        Assert.That(Regex.Count(machineCode, @"\bLDGSTS.E.BYPASS.128\b"), Is.EqualTo(copies));
    }

    // Of codes, sixteen keys take as many mma, and a lane copies so many words of K and V of one page, ahead of the loop for one or two pages
    // and once in it. Three groups share the 65,536 registers of a multiprocessor.
    [TestCase("Head256, Int4PageFormat, Int4PageFormat", 8, 64, 8, 2, Category = "Exhaustive")]
    [TestCase("Head256, Int4PageFormat, Int4PageFormat", 9, 64, 8, 2)]
    [TestCase("Head256, Int8PageFormat, Int8PageFormat", 9, 64, 16, 1)]
    [TestCase("Head256, Int8PageFormat, Int4PageFormat", 9, 64, 12, 1)]
    [TestCase("Head128, Int4PageFormat, Int4PageFormat", 9, 32, 6, 2, Category = "Exhaustive")]
    [TestCase("Head128, Int8PageFormat, Int8PageFormat", 9, 32, 8, 2, Category = "Exhaustive")]
    [TestCase("Head64, Int4PageFormat, Int4PageFormat", 9, 16, 6, 2, Category = "Exhaustive")]
    [TestCase("Head64, Int8PageFormat, Int4PageFormat", 9, 16, 6, 2, Category = "Exhaustive")]
    public void KeepsThreeGroupsOfCodesInRegisters(string types, int major, int mma, int words, int pagesAhead)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        var architecture = new CudaArchitecture(major, 0);
        string ptx = PtxBuild.Shared.Text(KernelCatalogue.Named($"CodedDecodeAttentionKernel<{types}>"), architecture);

        AssembledKernel used = ptxas.Assemble(ptx, architecture);

        Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
        Assert.That(used.Registers, Is.LessThanOrEqualTo(168));
        string machineCode = ptxas.Disassemble(ptx, architecture);
        Assert.That(Regex.Count(machineCode, @"\bHMMA.16816.F32.BF16\b"), Is.EqualTo(mma));
        Assert.That(Regex.Count(machineCode, @"\bLDGSTS.E.BYPASS.128\b"), Is.EqualTo(words * (1 + pagesAhead)));
    }

    // Codes are made operands faster than memory brings them.
    [Test]
    public void IssuesAPageInLessTimeThanMemoryTakesForIt()
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        DecodeAttentionSlots[] rows =
        [
            DecodeAttentionSlots.Of<Int8PageFormat, Int8PageFormat>(ptxas, "int8"),
            DecodeAttentionSlots.Of<Int8PageFormat, Int4PageFormat>(ptxas, "k8v4"),
            DecodeAttentionSlots.Of<Int4PageFormat, Int4PageFormat>(ptxas, "int4"),
        ];

        string table = DecodeAttentionSlots.Table(ptxas.Release, rows);
        TestContext.Out.WriteLine(table);
        foreach (DecodeAttentionSlots row in rows)
            Assert.That(row.IssueNanoseconds, Is.LessThan(DecodeAttentionSlots.MemoryNanoseconds), row.Cache);
        if (TestContext.Parameters.Get("decode-attention") == "update")
        {
            File.WriteAllText(DecodeAttentionSlots.FilePath, table);
            return;
        }

        Assume.That(File.Exists(DecodeAttentionSlots.FilePath), "the sources are not beside the tests (published run)");
        Assume.That(ptxas.Release, Is.EqualTo("12.4"), "another release of the assembler makes other code");
        string known = File.ReadAllText(DecodeAttentionSlots.FilePath);
        foreach (DecodeAttentionSlots row in rows)
        {
            // The text of a kernel, and so its code, depends a little on what the process compiled before.
            Assert.That(
                row.Loop.Count, Is.EqualTo(DecodeAttentionSlots.Known(known, row.Cache)).Within(3).Percent,
                $"{row.Cache}: instructions of the loop; write {DecodeAttentionSlots.FilePath} again and commit it if it is meant so");
        }
    }
}
