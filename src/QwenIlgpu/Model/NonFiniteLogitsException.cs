namespace QwenIlgpu;

/// <summary>A request met logits that are NaN or infinite; its reader says what of the model may have made them.</summary>
internal sealed class NonFiniteLogitsException(int tokens) : Exception($"the logits after {tokens} tokens are non-finite");
