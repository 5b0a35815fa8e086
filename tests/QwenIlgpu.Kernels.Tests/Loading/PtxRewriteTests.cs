using System.Reflection;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class PtxRewriteTests
{
    private const string Text = ".version 8.4\n.target sm_80\n.address_size 64\n\t@%p1 bra.uni\tL_1;\n\tbra.uni\tL_2;\n";

    [Test]
    public void DropsTheHintOfUniformBranches() => Assert.That(
        PtxRewrite.Apply(Text, null), Is.EqualTo(".version 8.4\n.target sm_80\n.address_size 64\n\t@%p1 bra\tL_1;\n\tbra\tL_2;\n"));

    [TestCase("sm_90a", "sm_80")]
    [TestCase("sm_120", "sm_80, debug")]
    public void RaisesTheTarget(string target, string directive)
    {
        string ptx = PtxRewrite.Apply(Text.Replace("sm_80", directive, StringComparison.Ordinal), target);

        Assert.That(ptx, Does.Contain($".target {directive.Replace("sm_80", target, StringComparison.Ordinal)}\n.address_size"));
    }

    [Test]
    public void RejectsTextWithoutTarget() => Assert.That(
        () => PtxRewrite.Apply(".version 8.4\n", "sm_90"),
        Throws.InvalidOperationException.With.Message.Contains(".target").And.Message.Contains("sm_90"));

    /// <summary>A portable kernel's structure lies behind its index and the number of its threads.</summary>
    [TestCase(typeof(PaddedKernel), nameof(PaddedKernel.Padded), "8[2]")]
    [TestCase(typeof(ScaleGroupKernel), nameof(ScaleGroupKernel.Scale), "0[4] 16[4]")]
    [TestCase(typeof(GatherRowsKernel), nameof(GatherRowsKernel.GatherRows), "8[4] 40[4] 56[4]")]
    public void NamesViewsAboveTheEntry(Type kernel, string method, string views)
    {
        string ptx = PtxBuild.Shared.Text(new KernelEntry(kernel.GetMethod(method)!), PtxBuild.Newest);

        Assert.That(ptx, Does.Contain($"\n// views of Kernel_{method}: {views}\n.visible .entry Kernel_{method}("));
        Assert.That(Regex.Count(ptx, "// views of"), Is.EqualTo(1));
    }

    [Test]
    public void NamesNoViewsWhereThereAreNone()
    {
        const string Ptx = ".version 8.4\n.visible .entry Kernel_Numbers(\n\t.param .align 4 .b8 _k[8]\n)\n{\n}\n";
        MethodInfo entry = GetType().GetMethod(nameof(Numbers), BindingFlags.NonPublic | BindingFlags.Static)!;

        Assert.That(PtxRewrite.NameViews(Ptx, new KernelEntry(entry)), Is.EqualTo(Ptx));
    }

    private static void Numbers(PaddedPart part) => _ = part;
}
