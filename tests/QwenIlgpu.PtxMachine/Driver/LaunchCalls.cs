using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Launches of kernels.</summary>
internal static unsafe class LaunchCalls
{
    // Keys of a launch's extra values.
    private const nint End = 0;
    private const nint ParameterBuffer = 1;
    private const nint ParameterBytes = 2;

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernel")]
    public static DriverResult Launch(
        nint function, uint gridX, uint gridY, uint gridZ, uint groupX, uint groupY, uint groupZ, uint sharedBytes, nint stream,
        nint* parameters, nint* extra) =>
        Launch(function, new GridShape(gridX, gridY, gridZ, groupX, groupY, groupZ, sharedBytes), stream, parameters, extra);

    // Attributes let a launch begin before its predecessor has ended; here it has.
    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernelEx")]
    public static DriverResult LaunchWithAttributes(LaunchConfiguration* configuration, nint function, nint* parameters, nint* extra) =>
        Launch(function, configuration->Shape, configuration->Stream, parameters, extra);

    /// <summary>A launch's parameters, which are the caller's again when the call returns.</summary>
    /// <exception cref="DriverException">The device cannot launch this.</exception>
    public static ReadOnlySpan<byte> Checked(DriverFunction function, in GridShape shape, nint* extra)
    {
        DriverException.ThrowUnless(Fits(shape, function), DriverResult.InvalidValue);
        int registers = function.RegistersOf(shape.GroupThreads);
        if (registers > GpuArchitecture.Registers || function.ThreadRegisters > GpuArchitecture.MaxThreadRegisters)
        {
            throw new DriverException(
                DriverResult.LaunchOutOfResources,
                $"{function.Kernel.Name}: {shape.GroupThreads} threads of {function.ThreadRegisters} registers take {registers} " +
                $"of {GpuArchitecture.Registers}");
        }

        ReadOnlySpan<byte> given = Parameters(extra);
        DriverException.ThrowUnless(given.Length == function.Kernel.ParameterBytes, DriverResult.InvalidValue);
        return given;
    }

    private static DriverResult Launch(nint function, GridShape shape, nint stream, nint* parameters, nint* extra)
    {
        var note = new CallNote("cuLaunchKernel", stream) { Shape = shape };
        return MachineDriver.CallBound(note, (function, shape, stream, (nint)parameters, (nint)extra), static (a, ref n) =>
        {
            DriverFunction launched = MachineDriver.Handles.Get<DriverFunction>(a.function);
            n.Kernel = launched.Kernel.Name;
            DriverException.ThrowUnless(a.Item4 == 0, DriverResult.NotSupported);
            ReadOnlySpan<byte> given = Checked(launched, a.shape, (nint*)a.Item5);
            (n.Bytes, n.Hash) = (given.Length, MachineDriver.HashOf(given));
            DriverStream on = DriverStream.ForWork(a.stream);
            n.Origin = on.Capture is null ? CallOrigin.Direct : CallOrigin.Captured;
            DriverTask task = on.NewTask();
            task.SetKernel(launched, a.shape, given);
            on.Give(task);
        });
    }

    private static bool Fits(in GridShape shape, DriverFunction function) =>
        shape is { GridX: > 0 and <= GpuArchitecture.MaxGridX, GridY: > 0 and <= GpuArchitecture.MaxGridYZ }
        && shape is { GridZ: > 0 and <= GpuArchitecture.MaxGridYZ }
        && shape is { GroupX: > 0, GroupY: > 0, GroupZ: > 0 and <= GpuArchitecture.MaxGroupZ }
        && shape.GroupThreads <= function.Kernel.MaxGroupThreads
        && shape.DynamicSharedBytes <= function.DynamicSharedBytes;

    private static ReadOnlySpan<byte> Parameters(nint* extra)
    {
        nint buffer = 0;
        nint bytes = 0;
        for (; extra is not null && *extra != End; extra += 2)
        {
            switch (*extra)
            {
                case ParameterBuffer: buffer = extra[1]; break;
                case ParameterBytes: bytes = *(nint*)extra[1]; break;
                default: throw new DriverException(DriverResult.InvalidValue);
            }
        }

        return new ReadOnlySpan<byte>((void*)buffer, (int)bytes);
    }

    /// <summary>CUlaunchConfig.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct LaunchConfiguration
    {
        public readonly GridShape Shape;
        public readonly nint Stream;
        public readonly nint Attributes;
        public readonly uint AttributeCount;
    }
}
