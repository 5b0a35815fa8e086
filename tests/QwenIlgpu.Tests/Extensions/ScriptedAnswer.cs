using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using QwenIlgpu.Extensions.AI;

namespace QwenIlgpu.Tests;

/// <summary>A client whose engine gives fixed answers in turn, the last one over and over, and keeps what it was asked.</summary>
internal sealed class ScriptedAnswer(params GenerationUpdate[][] answers)
{
    public List<Asked> Requests { get; } = [];

    public QwenChatClient Client => new(Generate, "tiny");

    public static GenerationUpdate Text(string text, TextKind kind = TextKind.Answer) => new() { TokenIds = [1], Text = text, Kind = kind };

    public static GenerationUpdate End(FinishReason reason = FinishReason.Stop, params PromptToolCall[] calls) => new()
    {
        TokenIds = [2],
        Text = "",
        Kind = TextKind.Answer,
        FinishReason = reason,
        ToolCalls = calls,
        Usage = new GenerationUsage(10, 4, 6, 2, 7, default, default, default),
    };

    private IAsyncEnumerable<GenerationUpdate> Generate(
        IReadOnlyList<PromptMessage> messages, ChatTemplateOptions? template, GenerationOptions? options, CancellationToken cancellationToken)
    {
        Requests.Add(new Asked(messages, template!, options!));
        return AnswerAsync(answers[Math.Min(Requests.Count, answers.Length) - 1], cancellationToken);
    }

    private static async IAsyncEnumerable<GenerationUpdate> AnswerAsync(GenerationUpdate[] answer, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (GenerationUpdate update in answer)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            yield return update;
        }
    }

    /// <summary>What the engine was asked.</summary>
    internal sealed record Asked(IReadOnlyList<PromptMessage> Messages, ChatTemplateOptions Template, GenerationOptions Options);
}
