using System.Globalization;

namespace QwenIlgpu.Cli.Chat;

/// <summary>Has the model answer, shows how or prints a line of JSON, and says what came of it. Ctrl-C ends an answer and keeps what there is of it.</summary>
internal sealed class Answerer(ChatModel model, Terminal terminal, ChatSettings settings, bool json)
{
    private const string NotKept = "the turn is not kept, /regen asks again";

    /// <summary>The answer to a conversation that ends with a question; null where nothing came that could be kept.</summary>
    public async Task<PromptMessage?> AnswerAsync(IReadOnlyList<PromptMessage> messages)
    {
        using Spinner? spinner = terminal.Keyboard is null || json ? null : new Spinner(terminal.Output);
        var writer = new AnswerWriter(terminal, silent: json, settings.Thoughts == ThoughtDisplay.Fold, spinner);
        using var stopped = new CancellationTokenSource();
        try
        {
            using IDisposable listening = terminal.Interrupts.Listen(() =>
            {
                stopped.Cancel();
                return true;
            });
            GenerationOptions options = settings.Generation with { PromptProgress = spinner };
            await writer.ReadAsync(model.Answer(messages, settings.Template, options, stopped.Token)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            Print(writer);
            terminal.Tell(writer.Text.Length > 0 ? "answer stopped" : $"answer stopped before it began: {NotKept}");
            return writer.Text.Length > 0 ? Answer(writer) : null;
        }

        Print(writer);
        bool isCut = writer.FinishReason == FinishReason.Length;
        if (isCut && writer.Text.Length == 0)
        {
            terminal.Tell(writer.Usage!.ToLine(writer.FinishReason));
            terminal.Tell(WhatHelps(writer.Usage!));
            return null;
        }

        PromptMessage answer = Answer(writer);
        terminal.Tell($"{writer.Usage!.ToLine(writer.FinishReason)}; {ContextUse([.. messages, answer])}");
        return answer;
    }

    /// <summary>How much of the context messages take up, for people.</summary>
    public string ContextUse(IReadOnlyList<PromptMessage> messages)
    {
        int tokens = model.CountTokens(messages, settings.Template with { AddGenerationPrompt = false });
        long percent = 100L * tokens / model.ContextTokens;
        return string.Create(CultureInfo.InvariantCulture, $"context {tokens} of {model.ContextTokens} tokens ({percent} %)");
    }

    private void Print(AnswerWriter writer)
    {
        if (json)
            terminal.WriteJson(writer.ToJson());
    }

    private static PromptMessage Answer(AnswerWriter writer) =>
        PromptMessage.Assistant(writer.Text) with { ReasoningContent = writer.Reasoning.Length > 0 ? writer.Reasoning : null };

    // Cut off before the first word of an answer: by --max-tokens, or by the context's end before that many.
    private string WhatHelps(GenerationUsage usage)
    {
        int most = settings.Generation.MaxTokens;
        bool thought = usage.ReasoningTokens > 0;
        string where = thought ? "cut off inside its thoughts, before any answer" : "cut off before an answer began";
        string more = usage.CompletionTokens < most
            ? $"the context is full: --context above {model.ContextTokens} holds more, /clear makes room"
            : string.Create(CultureInfo.InvariantCulture, $"/set max-tokens {4L * most} allows more (--max-tokens is {most})");
        string atOnce = thought ? ", /set thinking off answers at once (--no-thinking)" : "";
        return $"{where}: {more}{atOnce}; {NotKept}";
    }
}
