using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the next decode step of each sequence slot needs to know, kept on the device so that the step can be queued before the host
/// has seen the token that it feeds. All views: [slots] int. Slot 0 belongs to padding and is never active.
/// </summary>
internal readonly struct DecodeSlots(ArrayView<int> token, ArrayView<int> position, ArrayView<int> remaining, ArrayView<int> endsAtEndId)
{
    /// <summary>Fields of a slot, as <see cref="DecodeFeedback.BindSet"/> takes them.</summary>
    public const int Fields = 4;

    /// <summary>The token drawn last: what the next decode step feeds.</summary>
    public readonly ArrayView<int> Token = token;

    /// <summary>Position at which it is fed.</summary>
    public readonly ArrayView<int> Position = position;

    /// <summary>Tokens that may still be drawn; 0: the sequence has ended and takes no part in steps.</summary>
    public readonly ArrayView<int> Remaining = remaining;

    /// <summary>1: drawing an end id ends the sequence.</summary>
    public readonly ArrayView<int> EndsAtEndId = endsAtEndId;
}
