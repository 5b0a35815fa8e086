namespace QwenIlgpu.Kernels;

/// <summary>
/// A weight format: tiles of 16 rows × <see cref="Columns"/> k, each summed in f32 on the tensor cores, its sum scaled and added to the
/// total.
/// </summary>
internal interface IWeightTiles
{
    /// <summary>64 or 32.</summary>
    static abstract int Columns { get; }

    /// <summary>Whether a lane's x are eight k in a row, not those of the m16n8k16 fragments.</summary>
    static abstract bool TakesOctets { get; }

    /// <summary>A lane's part of a tile; of no use where it is not present.</summary>
    static abstract WeightTile Load(WeightRows rows, int tile, bool present);

    /// <summary>The same without the codes.</summary>
    static abstract WeightTile LoadScales(WeightRows rows, int tile, bool present);

    /// <summary>Brings a lane's part of a tile, scales not among it, into L2.</summary>
    static abstract void Prefetch(WeightRows rows, int tile, bool present);

    /// <summary>A loaded tile as operands: zeros, or any with scales of zero, where it is not present.</summary>
    static abstract OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present);

    /// <summary>total + the tile times x: words of steps 0, 1 and (64 k) 2, 3.</summary>
    static abstract Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right);
}
