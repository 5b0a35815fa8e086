namespace QwenIlgpu.Cli.Chat;

/// <summary>A question and its answer.</summary>
internal sealed record Turn(PromptMessage Question, PromptMessage Answer);

/// <summary>What has been said in a chat. The oldest turns may be left out of what the model sees; they stay in the conversation.</summary>
internal sealed class Conversation
{
    private readonly List<Turn> turns = [];

    /// <summary>Instructions that stand before everything, or null.</summary>
    public string? System { get; set; }

    public IReadOnlyList<Turn> Turns => turns;

    /// <summary>How many of the oldest turns the model no longer sees.</summary>
    public int LeftOut { get; set; }

    /// <summary>Everything, instructions first.</summary>
    public IReadOnlyList<PromptMessage> Messages => Said(0);

    /// <summary>What the model sees when a question is asked.</summary>
    public IReadOnlyList<PromptMessage> Asking(string question, int leftOut) => [.. Said(leftOut), PromptMessage.User(question)];

    public void Add(Turn turn) => turns.Add(turn);

    /// <summary>Takes the last turn back; null where there is none.</summary>
    public Turn? TakeBack()
    {
        if (turns is not [.., var last])
            return null;
        turns.RemoveAt(turns.Count - 1);
        LeftOut = 0;
        return last;
    }

    /// <summary>Begins anew, from turns that are at hand or from none.</summary>
    public void Restart(IEnumerable<Turn>? with = null)
    {
        turns.Clear();
        turns.AddRange(with ?? []);
        LeftOut = 0;
    }

    private IReadOnlyList<PromptMessage> Said(int leftOut)
    {
        PromptMessage[] opening = System is null ? [] : [PromptMessage.System(System)];
        return [.. opening, .. turns.Skip(leftOut).SelectMany(t => (PromptMessage[])[t.Question, t.Answer])];
    }
}
