namespace QwenIlgpu;

/// <summary>
/// Rows [T, D] after a norm: written out, or the rows before it with the norm that the matmul reading them still has to apply.
/// </summary>
internal readonly record struct NormedRows(Tensor Rows, NormWeight? Pending);
