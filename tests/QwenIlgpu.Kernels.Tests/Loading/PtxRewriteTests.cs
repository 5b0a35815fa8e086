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
}
