namespace QwenIlgpu;

/// <summary>The token mixer of a layer: gated attention or gated delta net.</summary>
internal interface IMixer
{
    /// <summary>What checkpoints call it inside a layer.</summary>
    string Name { get; }

    /// <summary>Bytes of its projections.</summary>
    long MatrixBytes { get; }

    /// <summary>Records the mixer for normed rows x [T, D]; returns the stream with its output added.</summary>
    ResidualStream Record(Ops ops, ResidualStream hidden, NormedRows x, ModelState state, int layer);
}
