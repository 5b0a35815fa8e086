namespace QwenIlgpu;

/// <summary>How prompts go through the gated delta rule where no kernel of tensor cores does.</summary>
internal enum DeltaPrefillForm
{
    /// <summary>Row after row where CPU threads run vector code, which needs fewer products; chunked elsewhere, for many threads.</summary>
    Fastest,

    /// <summary>64 positions at a time.</summary>
    Chunked,

    /// <summary>Row after row, as decode: to the bit what steps of one row each would give.</summary>
    Recurrent,
}
