using System.Reflection;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class PtxRewriteTests
{
    private const string Text = ".version 8.4\n.target sm_80\n.address_size 64\n\t@%p1 bra.uni\tL_1;\n\tbra.uni\tL_2;\n";

    [Test]
    public void DropsTheHintOfUniformBranches() => Assert.That(
        PtxRewrite.Apply(Text, null), Is.EqualTo(".version 8.4\n.target sm_80\n.address_size 64\n\t@%p1 bra\tL_1;\n\tbra\tL_2;\n"));

    [TestCase("\tmul.f32\t%f3, %f1, %f2;", "\tmul.rn.f32\t%f3, %f1, %f2;")]
    [TestCase("\tadd.f64 %fd3, %fd1, %fd2;", "\tadd.rn.f64 %fd3, %fd1, %fd2;")]
    [TestCase("\t@%p1 sub.f32 %f3, %f1, 0f3F800000;", "\t@%p1 sub.rn.f32 %f3, %f1, 0f3F800000;")]
    [TestCase("{ mul.f32 a, b, c; add.f32 d, a, c; }", "{ mul.rn.f32 a, b, c; add.rn.f32 d, a, c; }")]
    [TestCase("mul.ftz.f32 %f3, %f1, %f2;", "mul.rn.ftz.f32 %f3, %f1, %f2;")]
    [TestCase("add.ftz.sat.f32 %f3, %f1, %f2;", "add.rn.ftz.sat.f32 %f3, %f1, %f2;")]
    public void RoundsFloatArithmeticByItself(string before, string after) =>
        Assert.That(PtxRewrite.Apply(before, null), Is.EqualTo(after));

    [TestCase("mul.lo.s32 %r3, %r1, %r2;")]
    [TestCase("mul.wide.u32 %rd3, %r1, 4;")]
    [TestCase("add.s32 %r3, %r1, %r2;")]
    [TestCase("sub.rn.f16x2 %r3, %r1, %r2;")]
    [TestCase("add.f16 %h3, %h1, %h2;")]
    [TestCase("add.rn.f32x2 %rd3, %rd1, %rd2;")]
    [TestCase("mul.rz.f32 %f3, %f1, %f2;")]
    [TestCase("fma.rn.f32 %f4, %f1, %f2, %f3;")]
    [TestCase("red.global.add.f32 [%rd1], %f1;")]
    [TestCase("atom.global.add.f64 %fd1, [%rd1], %fd2;")]
    public void LeavesOtherArithmeticAlone(string text) => Assert.That(PtxRewrite.Apply(text, null), Is.EqualTo(text));

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

        Assert.That(ptx, Does.Contain($"\n// {new KernelEntry(kernel.GetMethod(method)!)}\n// views of Kernel_{method}: {views}\n.visible .entry Kernel_{method}("));
        Assert.That(Regex.Count(ptx, "// views of"), Is.EqualTo(1));
    }

    [Test]
    public void NamesNoViewsWhereThereAreNone()
    {
        const string Ptx = ".version 8.4\n.visible .entry Kernel_Numbers(\n\t.param .align 4 .b8 _k[8]\n)\n{\n}\n";
        MethodInfo entry = GetType().GetMethod(nameof(Numbers), BindingFlags.NonPublic | BindingFlags.Static)!;

        Assert.That(
            PtxRewrite.Describe(Ptx, new KernelEntry(entry)),
            Is.EqualTo(Ptx.Replace(".visible", $"// {new KernelEntry(entry)}\n.visible", StringComparison.Ordinal)));
    }

    private static void Numbers(PaddedPart part) => _ = part;
}
