using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Launches of kernels.</summary>
internal static unsafe class LaunchCalls
{
    public const int MaxGridX = int.MaxValue;
    public const int MaxGridYZ = 65535;
    public const int MaxGroupZ = 64;

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

    private static DriverResult Launch(nint function, GridShape shape, nint stream, nint* parameters, nint* extra) =>
        MachineDriver.CallBound(() =>
        {
            DriverFunction launched = MachineDriver.Handles.Get<DriverFunction>(function);
            DriverException.ThrowUnless(parameters is null, DriverResult.NotSupported);
            DriverException.ThrowUnless(Fits(shape, launched), DriverResult.InvalidValue);
            byte[] buffer = Parameters(extra);
            DriverException.ThrowUnless(buffer.Length == launched.Kernel.ParameterBytes, DriverResult.InvalidValue);
            DriverStream.Of(stream).Run(() => MachineDriver.Launch(launched.Kernel, shape, buffer));
        });

    private static bool Fits(in GridShape shape, DriverFunction function) =>
        shape is { GridX: > 0 and <= MaxGridX, GridY: > 0 and <= MaxGridYZ, GridZ: > 0 and <= MaxGridYZ }
        && shape is { GroupX: > 0, GroupY: > 0, GroupZ: > 0 and <= MaxGroupZ }
        && shape.GroupThreads <= function.Kernel.MaxGroupThreads
        && shape.DynamicSharedBytes <= function.DynamicSharedBytes;

    // The caller's buffer is its own again when the call returns.
    private static byte[] Parameters(nint* extra)
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

        return new ReadOnlySpan<byte>((void*)buffer, (int)bytes).ToArray();
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
