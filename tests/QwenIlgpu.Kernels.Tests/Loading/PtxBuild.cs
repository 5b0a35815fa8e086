using System.Collections.Concurrent;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The PTX of every kernel for the architectures we compile for, without a GPU. Contexts and texts live as long as the run: they
/// cost more than all that is tested of them.
/// </summary>
internal sealed class PtxBuild : IDisposable
{
    private static readonly Lazy<PtxBuild> SharedBuild = new(() => new PtxBuild());

    private readonly Dictionary<CudaArchitecture, (Context Context, PTXBackend Backend, PtxCompiler Compiler)> targets = [];
    private readonly ConcurrentDictionary<(CudaArchitecture Architecture, string Kernel), string> texts = new();

    private PtxBuild()
    {
        foreach (CudaArchitecture architecture in Architectures)
        {
            Context context = CreateContext();
            PTXBackend backend = CreateBackend(context, architecture);
            targets.Add(architecture, (context, backend, new PtxCompiler(backend, new PtxCache(null))));
        }
    }

    public static CudaArchitecture[] Architectures { get; } = [new(8, 0), new(8, 6), new(8, 9), new(9, 0)];

    public static CudaArchitecture Newest => Architectures[^1];

    public static PtxBuild Shared => SharedBuild.Value;

    /// <summary>
    /// Each kernel on each of the architectures that it runs on. All but the newest are exhaustive, and so are operands in f16, of which
    /// each has a twin in bf16.
    /// </summary>
    public static IEnumerable<TestCaseData> Cases(IEnumerable<KernelEntry> kernels, params CudaArchitecture[] architectures)
    {
        foreach (KernelEntry kernel in kernels)
        {
            foreach (CudaArchitecture architecture in architectures.Where(kernel.RunsOn))
            {
                TestCaseData data = new TestCaseData(kernel, architecture).SetArgDisplayNames(kernel.ToString(), NameOf(architecture));
                if (architecture != Newest || kernel.ToString().Contains("F16Operand", StringComparison.Ordinal))
                    data.SetCategory("Exhaustive");
                yield return data;
            }
        }
    }

    /// <summary>The assembler keeps every variable of a kernel in registers; skips where there is no assembler.</summary>
    public static void AssertNoSpills(KernelEntry kernel, CudaArchitecture architecture)
    {
        AssembledKernel used = Ptxas.FindOrSkip().Assemble(PtxBuild.Shared.Text(kernel, architecture), architecture);

        TestContext.Out.WriteLine($"{used.Registers} registers, {used.LocalBytes} bytes of stack and spills, {used.SharedBytes} shared");
        Assert.That(used.LocalBytes, Is.Zero, "stack and spills");
    }

    /// <summary><c>sm_80</c></summary>
    public static string NameOf(CudaArchitecture architecture) => $"sm_{architecture.Major}{architecture.Minor}";

    public static void DisposeShared()
    {
        if (SharedBuild.IsValueCreated)
            SharedBuild.Value.Dispose();
    }

    public static Context CreateContext()
    {
        Context context = Context.Create(b => b.EnableAlgorithms().Optimize(OptimizationLevel.O2));
        Intrinsics.Register(context);
        return context;
    }

    /// <summary>A backend at ISA 8.4, the newest that the assembler of CUDA 12.4 reads.</summary>
    public static PTXBackend CreateBackend(Context context, CudaArchitecture architecture) =>
        new(context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_84, null);

    /// <summary>The text as a device of this architecture would load it.</summary>
    public string Text(KernelEntry kernel, CudaArchitecture architecture) => texts.GetOrAdd((architecture, kernel.ToString()), _ =>
    {
        PtxCompiler compiler = targets[architecture].Compiler;
        lock (compiler)
            return compiler.Compile(kernel);
    });

    public void Dispose()
    {
        foreach ((Context context, PTXBackend backend, _) in targets.Values)
        {
            backend.Dispose();
            context.Dispose();
        }
    }
}

/// <summary>Disposes the shared contexts after the last test.</summary>
[SetUpFixture]
internal sealed class PtxBuildTeardown
{
    [OneTimeTearDown]
    public void Dispose() => PtxBuild.DisposeShared();
}
