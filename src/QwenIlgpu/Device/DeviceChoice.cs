namespace QwenIlgpu;

/// <summary>Which accelerator a model is loaded onto.</summary>
public enum DeviceChoice
{
    /// <summary>The first CUDA device; without one the CPU accelerator, but only for models under 500 MB.</summary>
    Auto,

    /// <summary>ILGPU's CPU accelerator: every kernel as a loop on the processor, for tests and debugging.</summary>
    Cpu,

    /// <summary>The first CUDA device, or an error that says why there is none.</summary>
    Cuda,
}
