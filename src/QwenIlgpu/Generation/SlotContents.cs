using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// What a slot is told of the sequence that it takes, gathered and checked on the host: sent to the device as it is, it reaches no memory
/// that is not the slot's.
/// </summary>
/// <param name="Slot">The slot.</param>
/// <param name="PromptIds">Tokens of the prompt, for the repetition penalty.</param>
/// <param name="DrawnIds">Tokens drawn behind it before the sequence took the slot; none of one that begins.</param>
/// <param name="MaxTokens">Most tokens to draw.</param>
/// <param name="EndsAtEndIds">Whether drawing an end id ends the sequence.</param>
/// <param name="Parameters">How tokens are drawn.</param>
/// <param name="BiasIds">Tokens with a bias; empty without any.</param>
/// <param name="Biases">Their biases.</param>
/// <param name="AllowedIds">The only tokens that may be drawn, where the parameters have a mask.</param>
internal sealed record SlotContents(
    int Slot, int[] PromptIds, int[] DrawnIds, int MaxTokens, bool EndsAtEndIds, SlotParameters Parameters, int[] BiasIds, float[] Biases,
    int[] AllowedIds)
{
    /// <summary>Those of a request that has its slot.</summary>
    /// <param name="request">The request.</param>
    /// <param name="vocabularySize">Ids are below it.</param>
    /// <param name="idsWithoutToken">Ids below it that are never drawn.</param>
    /// <param name="slots">Slots that there are, the reserved one included.</param>
    /// <exception cref="ArgumentException">An id or the slot is out of range.</exception>
    public static SlotContents Of(GenerationRequest request, int vocabularySize, IReadOnlyList<int> idsWithoutToken, int slots)
    {
        const string Op = "admission";
        Require.Below(Op, "slot", [request.Sequence.Slot], slots);
        SlotParameters parameters = request.Sampling.ToSlotParameters();
        int[] biasIds = [.. request.Sampling.LogitBias?.Keys ?? []];
        float[] biases = [.. request.Sampling.LogitBias?.Values ?? []];
        int[] allowed = [.. (request.Sampling.AllowedTokenIds ?? []).Distinct()];
        if (idsWithoutToken.Count > 0)
        {
            // Their logits are the lowest there are, which a bias can still undercut.
            var withToken = new HashSet<int>(request.Sampling.AllowedTokenIds ?? Enumerable.Range(0, vocabularySize));
            withToken.ExceptWith(idsWithoutToken);
            allowed = [.. withToken];
            parameters.Flags |= SlotParameters.HasMask;
        }

        Require.Below(Op, "prompt id", request.Sequence.Ids, vocabularySize);
        Require.Below(Op, "id with a bias", biasIds, vocabularySize);
        Require.Below(Op, "allowed id", allowed, vocabularySize);
        return new SlotContents(
            request.Sequence.Slot, request.Sequence.Ids, [.. request.GeneratedIds], request.MaxTokens, request.EndIds.Count > 0, parameters,
            biasIds, biases, allowed);
    }
}
