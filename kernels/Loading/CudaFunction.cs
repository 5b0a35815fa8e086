namespace QwenIlgpu.Kernels;

/// <summary>A kernel loaded into the current CUDA context: owner of its module.</summary>
internal sealed class CudaFunction : IDisposable
{
    // What every kernel may use without asking, static and dynamic together.
    private const int FreeSharedBytes = 48 << 10;

    private readonly KernelDriver driver;
    private readonly PtxSignature signature;
    private readonly ArgumentLayout[] layouts;
    private nint module;
    private int allowedDynamicBytes;

    private CudaFunction(KernelDriver driver, KernelEntry entry, PtxSignature signature, ArgumentLayout[] layouts, nint module, nint handle)
    {
        this.driver = driver;
        this.signature = signature;
        this.layouts = layouts;
        this.module = module;
        Entry = entry;
        Handle = handle;
        Attributes = new KernelAttributes(
            Read(FunctionAttribute.NumRegs), Read(FunctionAttribute.LocalSizeBytes), Read(FunctionAttribute.SharedSizeBytes),
            Read(FunctionAttribute.ConstSizeBytes), Read(FunctionAttribute.MaxThreadsPerBlock));
        allowedDynamicBytes = FreeSharedBytes - Attributes.SharedBytes;
    }

    public KernelEntry Entry { get; }

    /// <summary>The driver's CUfunction.</summary>
    public nint Handle { get; }

    public KernelAttributes Attributes { get; }

    public static CudaFunction Load(KernelDriver driver, KernelEntry entry, string ptx)
    {
        string name = entry.ToString();
        PtxSignature signature = PtxSignature.Parse(ptx);
        ArgumentLayout[] layouts = LayoutsOf(entry, signature);
        nint module = driver.LoadModule(name, ptx);
        try
        {
            return new CudaFunction(driver, entry, signature, layouts, module, driver.Function(name, module, signature.Name));
        }
        catch
        {
            driver.UnloadModule(module);
            throw;
        }
    }

    /// <summary>Layouts of the entry's parameters, held against what the PTX declares.</summary>
    /// <exception cref="InvalidOperationException">ILGPU lays an operand out in another way.</exception>
    public static ArgumentLayout[] LayoutsOf(KernelEntry entry, PtxSignature signature)
    {
        ArgumentLayout[] layouts = [.. entry.Method.GetParameters().Select(p => ArgumentLayout.Of(p.ParameterType))];
        int[] bytes = [.. layouts.Select(l => l.Bytes)];
        int[] declared = [.. signature.Parameters.Select(p => p.Bytes)];
        if (!bytes.AsSpan().SequenceEqual(declared))
        {
            throw new InvalidOperationException(
                $"{entry}: operands take [{string.Join(", ", bytes)}] bytes, its PTX declares [{string.Join(", ", declared)}]");
        }

        return layouts;
    }

    /// <summary>Binds operands: the values of the entry's parameters, in order.</summary>
    public CudaLaunch Bind(LaunchShape shape, bool overlapsPredecessor, params object[] operands)
    {
        if (shape.GroupThreads > Math.Min(Attributes.MaxGroupThreads, Entry.HasBounds ? Entry.GroupThreads : int.MaxValue))
        {
            string bounds = Entry.HasBounds ? $"at most {Entry.GroupThreads}" : "not given";
            throw new ArgumentException(
                $"{Entry}: {shape} asks for {shape.GroupThreads} threads a group; its bounds are {bounds}, the device runs at most " +
                $"{Attributes.MaxGroupThreads}");
        }

        AllowDynamicShared((int)shape.DynamicSharedBytes);
        byte[] arguments = GC.AllocateArray<byte>(signature.Bytes, pinned: true);
        for (int i = 0; i < layouts.Length; i++)
            layouts[i].Write(operands[i], arguments.AsSpan(signature.Parameters[i].Offset));
        bool overlaps = overlapsPredecessor && Entry.WaitsForPredecessor && driver.HasLaunchAttributes;
        return new CudaLaunch(driver, this, shape, overlaps, arguments, operands);
    }

    public void Dispose()
    {
        if (module == 0)
            return;
        driver.UnloadModule(module);
        module = 0;
    }

    private void AllowDynamicShared(int bytes)
    {
        if (bytes <= allowedDynamicBytes)
            return;
        driver.SetAttribute(Entry.ToString(), Handle, FunctionAttribute.MaxDynamicSharedSizeBytes, bytes);
        allowedDynamicBytes = bytes;
    }

    private int Read(FunctionAttribute attribute) => driver.Attribute(Entry.ToString(), Handle, attribute);
}
