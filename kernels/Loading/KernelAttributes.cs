namespace QwenIlgpu.Kernels;

/// <summary>What the driver's compiler made of a kernel; shared memory is the static part, local memory holds spills and arrays.</summary>
internal sealed record KernelAttributes(int Registers, int LocalBytes, int SharedBytes, int ConstantBytes, int MaxGroupThreads);

/// <summary>A kernel on a device.</summary>
internal sealed record LoadedKernel(string Name, KernelAttributes Attributes);
