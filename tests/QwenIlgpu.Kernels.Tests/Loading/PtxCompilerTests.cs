using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

[NonParallelizable]
internal sealed class PtxCompilerTests
{
    private static readonly KernelEntry Scale = new(typeof(ScaleGroupKernel).GetMethod(nameof(ScaleGroupKernel.Scale))!);
    private static readonly KernelEntry Hopper = new(typeof(HopperKernel).GetMethod(nameof(HopperKernel.Hopper))!);
    private static readonly CudaArchitecture Ampere = new(8, 0);

    private TemporaryDirectory directory = null!;
    private Context context = null!;

    [SetUp]
    public void Open()
    {
        directory = new TemporaryDirectory();
        context = PtxBuild.CreateContext();
    }

    [TearDown]
    public void Close()
    {
        context.Dispose();
        directory.Dispose();
    }

    [Test]
    public void AHitCompilesNothingAndReturnsTheVeryText()
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, Ampere);
        PtxCompiler first = Compiler(backend);
        string text = first.Compile(Scale);

        PtxCompiler second = Compiler(backend);
        string again = second.Compile(Scale);

        Assert.That((first.Compilations, second.Compilations), Is.EqualTo((1, 0)));
        Assert.That(again, Is.EqualTo(text));
    }

    [Test]
    public void ADamagedEntryIsCompiledAndWrittenAgain()
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, Ampere);
        Compiler(backend).Compile(Scale);
        string file = Directory.GetFiles(directory.Path).Single();
        File.AppendAllText(file, "x");

        PtxCompiler damaged = Compiler(backend);
        damaged.Compile(Scale);
        PtxCompiler mended = Compiler(backend);
        mended.Compile(Scale);

        Assert.That((damaged.Compilations, mended.Compilations), Is.EqualTo((1, 0)));
    }

    [Test]
    public void AnotherDeviceOrKernelIsAnotherEntry()
    {
        using PTXBackend ampere = PtxBuild.CreateBackend(context, Ampere);
        using PTXBackend hopper = PtxBuild.CreateBackend(context, new CudaArchitecture(9, 0));
        using var other = new PTXBackend(context, new CudaCapabilityContext(Ampere), Ampere, CudaInstructionSet.ISA_78, null);
        using Context slow = Context.Create(b => b.Optimize(OptimizationLevel.O1));
        using PTXBackend unoptimised = PtxBuild.CreateBackend(slow, Ampere);
        KernelEntry dequant = KernelCatalogue.Named("MatMulKernel<Int4Weights<Bf16Format, SymmetricZero>>");
        KernelEntry dequantF16 = KernelCatalogue.Named("MatMulKernel<Int4Weights<F16Format, SymmetricZero>>");

        PtxKey[] keys =
        [
            PtxKey.Of(Scale, ampere), PtxKey.Of(Scale, hopper), PtxKey.Of(Scale, other), PtxKey.Of(Scale, unoptimised),
            PtxKey.Of(dequant, ampere), PtxKey.Of(dequantF16, ampere),
        ];

        Assert.That(keys.Select(k => k.Hash), Is.Unique);
        Assert.That(PtxKey.Of(Scale, ampere).Hash, Is.EqualTo(keys[0].Hash));
        Assert.That(keys[0].Modules, Does.Contain(typeof(ScaleGroupKernel).Module.ModuleVersionId.ToString()));
        Assert.That(keys[0].Modules, Does.Contain(typeof(KernelLoader).Module.ModuleVersionId.ToString()));
    }

    [Test]
    public void LaunchBoundsReachTheText()
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, Ampere);
        string ptx = Compiler(backend).Compile(Scale);

        Assert.That(ptx, Does.Contain(".maxntid 64, 1, 1").And.Contain(".minnctapersm 2"));
    }

    [TestCase(9, 0, "sm_90")]
    [TestCase(12, 0, "sm_120")]
    public void AKernelThatAsksIsRetargetedToTheDevice(int major, int minor, string target)
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, new CudaArchitecture(major, minor));
        PtxCompiler compiler = Compiler(backend);

        Assert.That(compiler.Compile(Hopper), Does.Contain($".target {target}\n"));
        Assert.That(compiler.Compile(Scale), Does.Contain(".target sm_80\n"));
    }

    [Test]
    public void AKernelForALaterDeviceIsRefused()
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, new CudaArchitecture(8, 6));

        Assert.That(
            () => Compiler(backend).Compile(Hopper),
            Throws.TypeOf<NotSupportedException>()
                .With.Message.EqualTo("kernel HopperKernel needs compute capability 9.0; this device has 8.6"));
    }

    [Test]
    public void AKernelThatCannotBeCompiledIsNamed()
    {
        using PTXBackend backend = PtxBuild.CreateBackend(context, Ampere);
        var throwing = new KernelEntry(typeof(ThrowingKernel).GetMethod(nameof(ThrowingKernel.Throwing))!);

        Assert.That(
            () => Compiler(backend).Compile(throwing),
            Throws.TypeOf<NotSupportedException>().With.Message.Contains(nameof(ThrowingKernel)));
        Assert.That(Directory.GetFiles(directory.Path), Is.Empty);
    }

    private PtxCompiler Compiler(PTXBackend backend) => new(backend, new PtxCache(directory.Path));
}
