namespace QwenIlgpu.Kernels.Tests;

internal sealed class PtxSignatureTests
{
    [Test]
    public void PlacesParametersByTheirAlignment()
    {
        PtxSignature signature = PtxSignature.Parse(
            ".visible .entry Kernel_X(\n\t.param .b32 _a_1,\n\t.param .align 8 .b8 _b_2[20],\n" +
            "\t.param .b16 _c_3,\n\t.param .f64 _d_4\n)\n{");

        Assert.Multiple(() =>
        {
            Assert.That(signature.Name, Is.EqualTo("Kernel_X"));
            Assert.That(
                signature.Parameters,
                Is.EqualTo(new PtxParameter[] { new("_a_1", 0, 4), new("_b_2", 8, 20), new("_c_3", 28, 2), new("_d_4", 32, 8) }));
            Assert.That(signature.Bytes, Is.EqualTo(40));
        });
    }

    [Test]
    public void ReadsAnEntryWithoutParameters() => Assert.That(PtxSignature.Parse(".entry K()\n{").Bytes, Is.Zero);

    [TestCase(".version 8.4", ".entry")]
    [TestCase(".entry K(.param .texref t)", ".param .texref t")]
    public void RejectsWhatItDoesNotKnow(string ptx, string named) =>
        Assert.That(() => PtxSignature.Parse(ptx), Throws.InvalidOperationException.With.Message.Contains(named));
}
