namespace QwenIlgpu.Cli.Chat;

/// <summary>Which turns of a conversation go into the context with a question so that an answer has room there.</summary>
/// <param name="tokens">The context.</param>
/// <param name="count">Tokens of messages as a prompt.</param>
internal sealed class ContextWindow(int tokens, Func<IReadOnlyList<PromptMessage>, int> count)
{
    // An answer may be short: for a larger share no turn is given up.
    private const int SmallestShareOfAnswer = 4;

    /// <summary>
    /// How many of the oldest turns to leave out, the fewest that do and no fewer than were left out before; or why the question cannot be
    /// asked. The question itself goes in as long as it fits at all.
    /// </summary>
    /// <param name="conversation">What has been said.</param>
    /// <param name="question">What is asked now.</param>
    /// <param name="maxTokens">Most tokens of an answer.</param>
    /// <param name="onFull">Whether turns may be left out that went in before.</param>
    public (int LeftOut, string? Refusal) Fit(Conversation conversation, string question, int maxTokens, FullContext onFull)
    {
        int room = Math.Min(maxTokens, tokens / SmallestShareOfAnswer);
        int Count(int leftOut) => count(conversation.Asking(question, leftOut));
        int all = conversation.Turns.Count;
        int before = conversation.LeftOut;
        int needed = Count(before);
        if (needed + room <= tokens)
            return (before, null);
        if (onFull == FullContext.Stop && before < all)
        {
            return (before, $"the context is full: this would be {needed} of {tokens} tokens, and an answer needs {room} of them; "
                + "/undo or /clear makes room, /set on-full drop leaves old turns out, --context holds more");
        }

        (int low, int high) = (before, all);
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Count(middle) + room <= tokens)
                high = middle;
            else
                low = middle + 1;
        }

        int alone = low < all ? 0 : Count(all);
        return alone <= tokens ? (low, null)
            : (before, $"the prompt has {alone} tokens without any turn before it, the context {tokens}; "
                + "shorten it, or raise --context (/clear begins anew)");
    }
}
