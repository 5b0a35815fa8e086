using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// No kernel divides a signed number by a constant: ILGPU turns <c>/ 2^n</c> into a shift, which rounds the quotient of a negative number
/// down, and the assembler makes twenty instructions of <c>%</c>. On the CPU accelerator neither shows.
/// </summary>
[NonParallelizable]
internal sealed partial class SignedDivisionTests
{
    private static IEnumerable<TestCaseData> Kernels() =>
        KernelCatalogue.All.Select(k => new TestCaseData(k).SetArgDisplayNames(k.ToString()));

    [TestCaseSource(nameof(Kernels))]
    public void DividesNoSignedNumberByAConstant(KernelEntry kernel) => Assert.That(ConstantDivisions.In(kernel.Method), Is.Empty);

    [TestCaseSource(nameof(Kernels))]
    public void LeavesNoneInThePtx(KernelEntry kernel) => Assert.That(
        Division().Matches(PtxBuild.Shared.Text(kernel, PtxBuild.Newest)).Select(m => m.Value.Trim()).Distinct(), Is.Empty);

    [Test]
    public void FindsThemWhereverTheyStand() => Assert.That(
        ConstantDivisions.In(new Action<DividingKernel<FourRows>>(DividingKernel<FourRows>.Dividing).Method),
        Is.EqualTo(new[]
        {
            "DividedParts.Part: % 6",
            "DividedParts.Part: / 6",
            "DividingKernel.Execute: % 4",
            "DividingKernel.Execute: / 12",
            "DividingKernel.Execute: / 16",
            "DividingKernel.Execute: / 4",
            "FourRows.Of: / 2",
        }));

    // ILGPU itself divides one number, the size of dynamic shared memory, which nobody reads.
    [GeneratedRegex(@"(?<!%dynamic_smem_size;\s*)(div|rem)\.[su](32|64)\s+[^;]*, -?\d+;")]
    private static partial Regex Division();
}
