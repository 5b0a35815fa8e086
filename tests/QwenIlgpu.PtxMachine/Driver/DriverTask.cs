using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>What a task does.</summary>
internal enum TaskKind
{
    Kernel,
    Copy,
    Fill,
}

/// <summary>Work of a device with all that it needs but the bytes it reads: a launch, a copy or a fill.</summary>
internal unsafe class DriverTask
{
    // Enough for every kernel of an engine, so that a launch allocates nothing.
    private const int UsualParameterBytes = 1024;

    private byte[] parameters = new byte[UsualParameterBytes];
    private int parameterBytes;
    private nint target;
    private nint source;
    private MemoryKind targetKind;
    private MemoryKind sourceKind;
    private long bytes;
    private byte value;

    // Of a page-locked source when the copy was given; 0: not looked at.
    private ulong sourceHash;
    private bool isStaged;

    public TaskKind Kind { get; private set; }

    /// <summary>What is launched.</summary>
    public DriverFunction? Function { get; private set; }

    public GridShape Shape { get; private set; }

    public ReadOnlySpan<byte> Parameters => parameters.AsSpan(0, parameterBytes);

    public void SetKernel(DriverFunction function, in GridShape shape, ReadOnlySpan<byte> arguments)
    {
        (Kind, Function, Shape, parameterBytes) = (TaskKind.Kernel, function, shape, arguments.Length);
        if (parameters.Length < arguments.Length)
            parameters = new byte[arguments.Length];
        arguments.CopyTo(parameters);
    }

    public void SetCopy(nint to, MemoryKind toKind, nint from, MemoryKind fromKind, long length)
    {
        (Kind, Function, bytes, sourceHash, isStaged) = (TaskKind.Copy, null, length, 0, false);
        (target, targetKind, source, sourceKind) = (to, toKind, from, fromKind);
    }

    /// <summary>Notes what the source holds, so that a change before the copy is found out.</summary>
    public void WatchSource(ulong hash) => sourceHash = hash;

    /// <summary>Takes the source's bytes now.</summary>
    public void Stage()
    {
        void* staged = NativeMemory.Alloc((nuint)bytes);
        Buffer.MemoryCopy((void*)source, staged, bytes, bytes);
        (source, isStaged) = ((nint)staged, true);
    }

    public void SetFill(nint to, byte with, long length) =>
        (Kind, Function, target, value, bytes, isStaged) = (TaskKind.Fill, null, to, with, length, false);

    /// <summary>Whether a graph of that task can be updated to this one.</summary>
    public bool Replaces(DriverTask other) =>
        Kind == other.Kind && (Kind != TaskKind.Kernel || Function!.Kernel.Name == other.Function!.Kernel.Name);

    /// <summary>Does it; the driver's gate is held, and open while a kernel runs.</summary>
    /// <exception cref="FaultException">The kernel broke a rule, or memory that the task needs is gone.</exception>
    public void Run()
    {
        if (Kind == TaskKind.Kernel)
        {
            RunKernel();
            return;
        }

        DriverMemory memory = MachineDriver.Memory;
        MemoryKind to = Kind == TaskKind.Fill ? MemoryKind.Device : targetKind;
        ThrowIf(memory.Trouble(target, bytes, to));
        if (Kind == TaskKind.Fill)
        {
            memory.Fill(target, value, bytes);
            return;
        }

        if (!isStaged)
            ThrowIf(memory.Trouble(source, bytes, sourceKind));
        if (sourceHash != 0 && sourceHash != CallLog.HashOf((void*)source, bytes))
        {
            MachineDriver.Note(
                new CallNote("source overwritten before it was copied", 0, source, bytes) { Result = DriverResult.IllegalAddress });
        }

        memory.Copy(target, targetKind, source, isStaged ? MemoryKind.Pageable : sourceKind, bytes);
    }

    /// <summary>Gives back what it holds; it may be set again.</summary>
    public void Release()
    {
        if (isStaged)
            NativeMemory.Free((void*)source);
        isStaged = false;
        Function = null;
    }

    private void RunKernel()
    {
        ThrowIf(Function!.IsUnloaded ? "its module was unloaded" : null);
        IReadOnlyList<PointerOrigin> pointers = Function.Kernel.Program.Pointers;
        for (int i = 0; i < pointers.Count; i++)
            ThrowIf(Trouble(pointers[i]));
        MachineDriver.Launch(this);
    }

    // A view of nothing may point anywhere.
    private string? Trouble(PointerOrigin origin)
    {
        nint pointer = (nint)BitConverter.ToInt64(parameters, origin.ParameterOffset);
        bool isEmpty = origin.ViewElementBytes > 0 && BitConverter.ToInt64(parameters, origin.ParameterOffset + sizeof(long)) == 0;
        return isEmpty || MachineDriver.Memory.FreedAt(pointer) is not { } range
            ? null
            : $"its operand at byte {origin.ParameterOffset} of the parameters, 0x{pointer:x}, is {range}";
    }

    private void ThrowIf(string? trouble)
    {
        if (trouble is null)
            return;
        MachineDriver.Note(new CallNote("use after free") { Kernel = Function?.Kernel.Name ?? "", Result = DriverResult.IllegalAddress });
        string name = Function?.Kernel.Name ?? (Kind == TaskKind.Copy ? "a copy" : "a fill");
        throw new FaultException([new Fault(FaultKind.FreedMemory, name, 0, "", "", trouble)]);
    }
}
