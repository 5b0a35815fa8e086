using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>The driver as programs see it: imports of a library by its name. Its device has 64 MiB.</summary>
internal static unsafe partial class Driver
{
    public const string Library = "libcuda.so.1";

    public const int MemoryBytes = 64 << 20;

    /// <summary>Adds a value to an integer, in one thread: address, then value.</summary>
    public const string Adder = """
        .version 8.4
        .target sm_80
        .address_size 64
        .visible .entry Add(
        	.param .b64 target,
        	.param .b32 value
        )
        {
        	.reg .b32 %r<4>;
        	.reg .b64 %rd<2>;
        	ld.param.b64 %rd1, [target];
        	ld.param.b32 %r1, [value];
        	ld.global.b32 %r2, [%rd1];
        	add.s32 %r3, %r2, %r1;
        	st.global.b32 [%rd1], %r3;
        	ret;
        }
        """;

    private static readonly Machine Machine = new();

    /// <summary>What every test begins with: work runs at once, and faults are no end.</summary>
    public static DriverOptions Usual { get; } = new() { MemoryBytes = MemoryBytes };

    /// <summary>A current context of the machine's device, under the usual options or others.</summary>
    public static nint Open(DriverOptions? options = null)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Ignore("the machine's driver is made for x64 Linux");
        MachineDriver.Install(Machine, Usual);
        MachineDriver.Options = options ?? Usual;
        Check(cuInit(0));
        Check(cuCtxCreate(out nint context, 0, 0));
        return context;
    }

    public static void Check(int result) => Assert.That(result, Is.Zero, () => Marshal.PtrToStringUTF8(Name(result)) ?? $"result {result}");

    public static nint Name(int result) => cuGetErrorName(result, out nint name) == 0 ? name : 0;

    public static nint Allocate(int bytes)
    {
        Check(cuMemAlloc(out nint address, bytes));
        return address;
    }

    public static nint Upload(params int[] values)
    {
        nint address = Allocate(4 * values.Length);
        fixed (int* start = values)
            Check(cuMemcpyHtoDAsync(address, (nint)start, 4 * values.Length, 0));
        Check(cuStreamSynchronize(0));
        return address;
    }

    public static int[] Download(nint address, int count)
    {
        var values = new int[count];
        fixed (int* start = values)
            Check(cuMemcpyDtoHAsync((nint)start, address, 4 * count, 0));
        return values;
    }

    /// <summary>Four bytes as a kernel or a copy has left them, looked at behind the driver's back.</summary>
    public static int Peek(nint address) => *(int*)address;

    public static nint NewStream(bool isBlocking = false)
    {
        Check(cuStreamCreate(out nint stream, isBlocking ? 0u : 1u));
        return stream;
    }

    public static nint NewEvent()
    {
        Check(cuEventCreate(out nint made, 0));
        return made;
    }

    /// <summary>One stream waits for what another was given until now.</summary>
    public static int Order(nint first, nint then)
    {
        nint made = NewEvent();
        int result = cuEventRecord(made, first);
        return result == 0 ? cuStreamWaitEvent(then, made, 0) : result;
    }

    /// <summary>Fills an integer's bytes.</summary>
    public static void Fill(nint address, byte value, nint stream) => Check(cuMemsetD8Async(address, value, 4, stream));

    /// <summary>The graph of what is done in between.</summary>
    public static nint Capture(nint stream, Action work)
    {
        Check(cuStreamBeginCapture(stream, 1));
        work();
        Check(cuStreamEndCapture(stream, out nint graph));
        return graph;
    }

    public static nint Instantiate(nint graph)
    {
        Check(cuGraphInstantiateWithFlags(out nint executable, graph, 0));
        return executable;
    }

    public static nint Function(string ptx, string name)
    {
        Check(cuModuleLoadData(out nint module, ptx));
        Check(cuModuleGetFunction(out nint function, module, name));
        return function;
    }

    public static int LaunchAdder(nint function, nint target, int value, nint stream, uint groupThreads = 1, uint sharedBytes = 0)
    {
        byte* buffer = stackalloc byte[12];
        *(nint*)buffer = target;
        *(int*)(buffer + 8) = value;
        nint bytes = 12;
        nint* extra = stackalloc nint[] { 1, (nint)buffer, 2, (nint)(&bytes), 0 };
        int result = cuLaunchKernel(function, 1, 1, 1, groupThreads, 1, 1, sharedBytes, stream, 0, extra);
        new Span<byte>(buffer, 12).Fill(0xff);
        return result;
    }

    [LibraryImport(Library)]
    public static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    public static partial int cuCtxSynchronize();

    [LibraryImport(Library)]
    public static partial int cuEventSynchronize(nint awaited);

    [LibraryImport(Library)]
    public static partial int cuStreamQuery(nint asked);

    [LibraryImport(Library)]
    public static partial int cuStreamIsCapturing(nint asked, out int status);

    [LibraryImport(Library)]
    public static partial int cuGraphGetNodes(nint graph, nint* nodes, ref nint count);

    [LibraryImport(Library)]
    public static partial int cuGraphExecUpdate_v2(nint executable, nint graph, nint* answer);

    [LibraryImport(Library)]
    public static partial int cuGraphExecKernelNodeSetParams_v2(nint executable, nint node, void* parameters);

    [LibraryImport(Library)]
    public static partial int cuOccupancyMaxActiveBlocksPerMultiprocessor(out int groups, nint function, int groupThreads, nint sharedBytes);

    [LibraryImport(Library)]
    public static partial int cuGetErrorName(int result, out nint name);

    [LibraryImport(Library)]
    public static partial int cuGetErrorString(int result, out nint text);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetAttribute(out int value, int attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuCtxCreate_v2")]
    public static partial int cuCtxCreate(out nint context, uint flags, int device);

    [LibraryImport(Library, EntryPoint = "cuCtxDestroy_v2")]
    public static partial int cuCtxDestroy(nint context);

    [LibraryImport(Library)]
    public static partial int cuCtxSetCurrent(nint context);

    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    public static partial int cuMemGetInfo(out nint free, out nint total);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    public static partial int cuMemAlloc(out nint address, nint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    public static partial int cuMemFree(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemAllocHost_v2")]
    public static partial int cuMemAllocHost(out nint address, nint bytes);

    [LibraryImport(Library)]
    public static partial int cuMemFreeHost(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemcpyAsync(nint target, nint source, nint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static partial int cuMemcpyHtoDAsync(nint target, nint source, nint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static partial int cuMemcpyDtoHAsync(nint target, nint source, nint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemsetD8Async(nint target, byte value, nint bytes, nint stream);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleLoadData(out nint module, string text);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleLoadDataEx(out nint module, string text, uint count, int[] options, nint[] values);

    [LibraryImport(Library)]
    public static partial int cuModuleUnload(nint module);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleGetFunction(out nint function, nint module, string name);

    [LibraryImport(Library)]
    public static partial int cuFuncGetAttribute(out int value, int attribute, nint function);

    [LibraryImport(Library)]
    public static partial int cuFuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(Library)]
    public static partial int cuLaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint groupX, uint groupY, uint groupZ, uint sharedBytes, nint stream,
        nint parameters, nint* extra);

    [LibraryImport(Library)]
    public static partial int cuLaunchKernelEx(void* configuration, nint function, nint parameters, nint* extra);

    [LibraryImport(Library)]
    public static partial int cuStreamCreate(out nint stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    public static partial int cuStreamDestroy(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamSynchronize(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamWaitEvent(nint stream, nint awaited, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventCreate(out nint made, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    public static partial int cuEventDestroy(nint destroyed);

    [LibraryImport(Library)]
    public static partial int cuEventRecord(nint recorded, nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventQuery(nint asked);

    [LibraryImport(Library)]
    public static partial int cuEventElapsedTime(out float milliseconds, nint start, nint end);

    [LibraryImport(Library, EntryPoint = "cuStreamBeginCapture_v2")]
    public static partial int cuStreamBeginCapture(nint stream, int mode);

    [LibraryImport(Library)]
    public static partial int cuStreamEndCapture(nint stream, out nint graph);

    [LibraryImport(Library)]
    public static partial int cuGraphInstantiateWithFlags(out nint executable, nint graph, ulong flags);

    [LibraryImport(Library)]
    public static partial int cuGraphLaunch(nint executable, nint stream);

    [LibraryImport(Library)]
    public static partial int cuGraphDestroy(nint graph);

    [LibraryImport(Library)]
    public static partial int cuGraphExecDestroy(nint executable);
}
