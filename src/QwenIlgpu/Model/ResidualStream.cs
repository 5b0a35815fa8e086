namespace QwenIlgpu;

/// <summary>
/// The residual stream [T, D] between two sub-layers: a sum, and the last sub-layer's output where that has not been added yet. The next
/// norm adds it.
/// </summary>
internal readonly record struct ResidualStream(Tensor Sum, Tensor? Branch);
