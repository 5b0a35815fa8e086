namespace QwenIlgpu.Cli.Chat;

/// <summary>What a chat needs of a model and its engine.</summary>
/// <param name="ContextTokens">Longest conversation in tokens, the answer included.</param>
/// <param name="CountTokens">Tokens of messages as a prompt.</param>
/// <param name="Answer">Generates the next turn.</param>
internal sealed record ChatModel(
    int ContextTokens,
    Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions, int> CountTokens,
    Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions, GenerationOptions, CancellationToken, IAsyncEnumerable<GenerationUpdate>>
        Answer)
{
    public static ChatModel Of(QwenModel model, Engine engine) => new(engine.ContextTokens, model.CountTokens, engine.GenerateAsync);
}
