using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Rows that a step computed but did not yet add to the states, and how many of them are to be added before the next step's:
/// of each row and value head its normalised key, d = β (v − e^g Sᵀ k) and e^g, which make S ← e^g S + k dᵀ.
/// </summary>
/// <param name="rows">[slots, <see cref="Columns"/>]; per slot [Hv, <see cref="DeltaStep.MaxRows"/>, Dk + Dv + 4].</param>
/// <param name="accepted">[slots]: leading rows of the slot's last step that hold; 0 after a prefill or a rewound slot.</param>
internal readonly struct DeltaStash(Matrix<float> rows, ArrayView<int> accepted)
{
    public readonly Matrix<float> Rows = rows;
    public readonly ArrayView<int> Accepted = accepted;

    /// <summary>Floats of one slot.</summary>
    public static int Columns(DeltaShape shape) => shape.ValueHeads * DeltaStep.MaxRows * RowFloats(shape);

    /// <summary>Floats of one row of one head: key, d, decay and three of padding.</summary>
    public static int RowFloats(DeltaShape shape) => shape.KeyHeadDim + shape.ValueHeadDim + 4;
}
