using System.Globalization;
using System.Text;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>
/// A machine, its memory, and kernels of which a test writes the body. There <c>%rd0</c> and those behind it are the launch's arguments,
/// <c>%r0</c> the thread, <c>%r1</c> the group, and <c>%rd10</c> four bytes a thread.
/// </summary>
internal sealed unsafe class Bench(MachineOptions options) : IDisposable
{
    /// <summary>Marks the line of a body that a fault must name.</summary>
    public const string Mark = "// here";

    /// <summary>
    /// Makes <c>%rd11</c> and <c>%rd12</c> the thread's rows of 16 bytes of the second argument and the first, <c>%r20</c> that of an array
    /// in shared memory.
    /// </summary>
    public const string Rows =
        """
        .shared .align 16 .b8 s[512];
        mul.wide.u32 %rd11, %r0, 16;
        add.u64 %rd12, %rd0, %rd11;
        add.u64 %rd11, %rd1, %rd11;
        mov.u32 %r20, s;
        shl.b32 %r21, %r0, 4;
        add.u32 %r20, %r20, %r21;
        """;

    private readonly Machine machine = new(options);

    public Bench()
        : this(new MachineOptions())
    {
    }

    public LaunchCounts Counts => machine.Counts!;

    public long Turns => machine.Turns;

    public static GridShape Warp => Line(1, 32);

    /// <summary>So many groups of so many threads, of one dimension.</summary>
    public static GridShape Line(uint groups, uint threads) => new(groups, 1, 1, threads, 1, 1, 0);

    public void Dispose() => machine.Dispose();

    /// <summary>New memory that holds these.</summary>
    public nint Upload<T>(params ReadOnlySpan<T> values)
        where T : unmanaged => machine.Upload(values);

    /// <summary>New memory of which only the first bytes are written, with zeros.</summary>
    public nint AllocateWritten(int bytes, int writtenBytes)
    {
        nint address = Allocate<byte>(bytes);
        new Span<byte>((void*)address, writtenBytes).Clear();
        machine.Memory.MarkWritten(address, writtenBytes);
        return address;
    }

    /// <summary>New memory that nothing has written.</summary>
    public nint Allocate<T>(int count)
        where T : unmanaged => machine.Allocate<T>(count);

    public T[] Download<T>(nint address, int count)
        where T : unmanaged => machine.Download<T>(address, count);

    /// <summary>Runs a body; the arguments are 64 bits each.</summary>
    public void Launch(string body, GridShape shape, params ReadOnlySpan<nint> arguments) =>
        Launch(Text(body, arguments.Length), "Kernel", shape, arguments);

    public void Launch(string text, string kernel, GridShape shape, ReadOnlySpan<nint> arguments) =>
        machine.Launch(PtxModule.Parse(text).Kernels[kernel], shape, System.Runtime.InteropServices.MemoryMarshal.AsBytes(arguments));

    /// <summary>What the sanitizer says of a text.</summary>
    public IReadOnlyList<Fault> FaultsOf(string text, GridShape shape, params ReadOnlySpan<nint> arguments)
    {
        try
        {
            Launch(text, "Kernel", shape, arguments);
            return [];
        }
        catch (FaultException exception)
        {
            return exception.Faults;
        }
    }

    /// <summary>The text of a kernel with this body and so many arguments; <paramref name="views"/>: <c>0[4]</c>, as the loader writes them.</summary>
    public static string Text(string body, int arguments, string views = "")
    {
        var text = new StringBuilder(".version 8.4\n.target sm_80\n.address_size 64\n");
        if (views.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"// views of Kernel: {views}\n");
        text.Append(".visible .entry Kernel(");
        text.AppendJoin(", ", Enumerable.Range(0, arguments).Select(i => $".param .b64 p{i}")).Append(")\n{\n");
        text.Append(".reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<48>;\n.reg .f32 %f<16>;\n.reg .b64 %rd<32>;\n.reg .f64 %fd<8>;\n");
        for (int i = 0; i < arguments; i++)
            text.Append(CultureInfo.InvariantCulture, $"ld.param.b64 %rd{i}, [p{i}];\n");
        return text.Append("mov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\nmul.wide.u32 %rd10, %r0, 4;\n")
            .Append(body).Append("\nret;\n}\n").ToString();
    }

    /// <summary>The line with <see cref="Mark"/>, from 1.</summary>
    public static int MarkedLine(string text) => Array.FindIndex(text.Split('\n'), l => l.Contains(Mark, StringComparison.Ordinal)) + 1;
}

/// <summary>A machine's memory as a test's host has it.</summary>
internal static unsafe class HostCopies
{
    /// <summary>New memory that holds these.</summary>
    public static nint Upload<T>(this Machine machine, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        nint address = machine.Allocate<T>(values.Length);
        values.CopyTo(new Span<T>((void*)address, values.Length));
        machine.Memory.MarkWritten(address, (long)values.Length * sizeof(T));
        return address;
    }

    /// <summary>New memory that nothing has written.</summary>
    public static nint Allocate<T>(this Machine machine, int count)
        where T : unmanaged => machine.Memory.Allocate((long)count * sizeof(T));

    public static T[] Download<T>(this Machine machine, nint address, int count)
        where T : unmanaged
    {
        Assert.That(machine.Memory.HasUnwritten(address, (long)count * sizeof(T)), Is.False, "results that nothing wrote");
        return new ReadOnlySpan<T>((void*)address, count).ToArray();
    }
}
