using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The rotary tables in device memory. coarse: [ceil(Positions / 512), Frequencies], fine: [512, Frequencies]; the rotation of a
/// position is the one of its multiple of 512 followed by the one of the rest.
/// </summary>
internal readonly struct RotaryView(ArrayView<Rotation> coarse, ArrayView<Rotation> fine, int positions, int frequencies)
{
    /// <summary>Positions 0 to this − 1 are covered.</summary>
    public readonly int Positions = positions;

    /// <summary>Half of the rotated dimensions.</summary>
    public readonly int Frequencies = frequencies;

    /// <summary>Rotation by position · theta^(−frequency / Frequencies).</summary>
    public Rotation At(int position, int frequency)
    {
        int block = (int)((uint)position / RotaryTable.FinePositions);
        int rest = position - (block * RotaryTable.FinePositions);
        return coarse[(block * Frequencies) + frequency].Then(fine[(rest * Frequencies) + frequency]);
    }
}
