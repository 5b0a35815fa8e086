namespace QwenIlgpu;

/// <summary>Element type of the recurrent state that a sequence holds in each DeltaNet layer.</summary>
public enum DeltaStateType
{
    /// <summary>32-bit float: the default.</summary>
    F32,

    /// <summary>16-bit float (IEEE half): half the memory and half the traffic; every step rounds the state to 11 bits.</summary>
    F16,
}
