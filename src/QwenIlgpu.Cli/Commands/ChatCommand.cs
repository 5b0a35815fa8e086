using System.CommandLine;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen chat`: a conversation, line by line, edited where a terminal allows it.</summary>
internal static class ChatCommand
{
    public const string Examples =
        """
        qwen chat
        qwen chat --model ~/models/Qwen3.6-27B-GPTQ-Int4 --system "You are terse." --preset thinking
        qwen chat --thoughts fold --on-full stop
        qwen chat --session fox.session
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var system = new Option<string?>("--system", "-s")
        {
            Description = "Instructions that stand before the conversation.",
            HelpName = "TEXT",
        };
        Option<ThoughtDisplay> thoughts = ChoiceOption.Of(
            "--thoughts", "Show thoughts, dimmed, or only that there are some. [default: show]",
            ("show", ThoughtDisplay.Show), ("fold", ThoughtDisplay.Fold));
        Option<FullContext> onFull = ChoiceOption.Of(
            "--on-full", "When the context is full: leave the oldest turns out, or refuse the question. [default: drop]",
            ("drop", FullContext.Drop), ("stop", FullContext.Stop));
        var session = new Option<string?>("--session")
        {
            Description = "Go on with the conversation of this file where it is there, and keep it there with what the model has computed of it.",
            HelpName = "FILE",
            Arity = ArgumentArity.ExactlyOne,
        };
        var template = new TemplateArguments();
        var model = new ModelArguments(KvType.Bf16);
        var sampling = new SamplingArguments();
        var command = new Command("chat", "Talk with the model. /help lists what can be typed, /exit leaves, Ctrl-C stops an answer.")
        {
            system, session, thoughts, onFull,
        };
        template.AddTo(command);
        sampling.AddTo(command);
        model.AddTo(command);
        command.Options.Add(model.PrefillChunk);
        command.Options.Add(model.PrefixCache);
        command.SetAction(async (parse, cancellation) =>
        {
            GenerationOptions options = sampling.Read(parse);
            ChatTemplateOptions rendering = template.Read(parse);
            SessionFile? file = parse.GetValue(session) is { } path ? new SessionFile(path) : null;
            (string? System, IReadOnlyList<Turn> Turns)? earlier = file is { Exists: true } ? file.LoadMessages() : null;
            file?.RequireWritable();
            await using QwenModel loaded = await model.LoadAsync(
                parse, common, terminal, options, rendersMessages: true, cancellation).ConfigureAwait(false);
            LogitBiasOption.Check(options.Sampling?.LogitBias, loaded);
            await using Engine engine = model.CreateEngine(parse, loaded);
            bool json = parse.GetValue(common.Json);
            var settings = new ChatSettings
            {
                Generation = options,
                Template = rendering,
                Thoughts = parse.GetValue(thoughts),
                OnFull = parse.GetValue(onFull),
            };
            ILineReader lines = terminal.Keyboard is { } keyboard && !json
                ? new LineEditor(keyboard, terminal.Output, History.Open(terminal.HistoryFile, terminal.Note))
                : new PlainLines(terminal);
            var chat = new ChatLoop(
                ChatModel.Of(loaded, engine), terminal, lines, settings, parse.GetValue(system) ?? earlier?.System, json)
            {
                Changed = conversation => file?.Save(conversation),
            };
            if (earlier is { Turns: { Count: > 0 } turns })
            {
                chat.Conversation.Restart(turns);
                if (await file!.LoadCacheAsync(engine).ConfigureAwait(false) is { } fault)
                    terminal.Note(fault);
            }

            await chat.RunAsync().ConfigureAwait(false);
            if (file is not null)
                await file.SaveAsync(chat.Conversation, engine).ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }
}
