using System.CommandLine;
using System.CommandLine.Parsing;

namespace QwenIlgpu.Cli;

/// <summary>What is wrong with a command line, one message a fault.</summary>
internal static class WrongUsage
{
    /// <summary>The message, or null where nothing is wrong.</summary>
    public static string? MessageOf(ParseResult parse)
    {
        // What else the parser misses or finds too much follows from an option that it took for something else.
        string[] unknown = [.. UnknownOptions(parse).Distinct().Select(o => UnknownOption(o, parse))];
        string[] misplaced = unknown.Length > 0 ? unknown : [.. Misplaced(parse)];
        string[] faults = [.. misplaced, .. parse.Errors.Select(OfOption).OfType<string>().Distinct()];
        if (faults.Length > 0)
            return string.Join("; ", faults);
        return parse.Errors.Count > 0 ? parse.Errors[0].Message.TrimEnd('.') : null;
    }

    /// <summary>What is wrong with what a completion script asks in front of everything else, [suggest:POSITION]; null where nothing is.</summary>
    public static string? FaultyDirective(ParseResult parse) =>
        parse.Tokens is [{ Type: TokenType.Directive, Value: var value }, ..]
            && value.StartsWith("[suggest:", StringComparison.Ordinal) && !int.TryParse(value["[suggest:".Length..^1], out _)
                ? $"{value} is no [suggest:POSITION] with a number" : null;

    // The parser takes a misspelt option for an argument. Behind -- everything is one.
    private static IEnumerable<string> UnknownOptions(ParseResult parse)
    {
        HashSet<string> before = [.. parse.Tokens.TakeWhile(t => t.Type != TokenType.DoubleDash).Select(t => t.Value)];
        return parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(r => r.Tokens).Select(t => t.Value)
            .Concat(parse.UnmatchedTokens)
            .Where(v => v.Length > 1 && v[0] == '-' && before.Contains(v));
    }

    private static string UnknownOption(string given, ParseResult parse)
    {
        Command command = parse.CommandResult.Command;
        IEnumerable<Option> options = command.Options.Concat(parse.RootCommandResult.Command.Options.Where(o => o.Recursive));
        string name = given.Split('=', ':')[0];
        string question = NearMiss.Question(name, options.Select(o => o.Name));
        string hint = question.Length == 0 && command.Arguments.Count > 0 ? "; text that begins with - goes behind --" : "";
        return $"unknown option {name}{question}{hint}";
    }

    private static IEnumerable<string> Misplaced(ParseResult parse)
    {
        Command command = parse.CommandResult.Command;
        string? surplus = parse.UnmatchedTokens.Count > 0 ? parse.UnmatchedTokens[0] : null;
        if (command.Subcommands.Count > 0)
        {
            yield return surplus is null
                ? "a command is missing"
                : $"unknown command '{surplus}'{NearMiss.Question(surplus, command.Subcommands.Select(c => c.Name))}";
            yield break;
        }

        if (surplus is not null)
        {
            string taken = command.Arguments.Count == 0 ? "no argument" : $"one argument, {command.Arguments[0].Name}; in quotes it may hold blanks";
            yield return $"'{surplus}' is too much: {command.Name} takes {taken}";
        }

        foreach (Argument missing in command.Arguments.Where(a => a.Arity.MinimumNumberOfValues > 0 && parse.GetResult(a) is not { Tokens.Count: > 0 }))
            yield return $"{missing.Name} is missing: {missing.Description?.TrimEnd('.')}";
        foreach (Option missing in command.Options.Where(o => o.Required && parse.GetResult(o) is not { Implicit: false }))
            yield return $"{missing.Name} is missing: it takes {missing.HelpName}";
    }

    // The parser's errors of commands and their arguments are told above. Those of options are ours, but for the wrong number of values.
    private static string? OfOption(ParseError error)
    {
        OptionResult? result = error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult;
        if (result is not { Implicit: false })
            return null;
        Option option = result.Option;
        if (result.IdentifierTokenCount > 1 && option.Arity.MaximumNumberOfValues == 1)
            return $"{option.Name} is given {result.IdentifierTokenCount} times; it takes one value";
        return option.Arity.MinimumNumberOfValues > 0 && result.Tokens.Count == 0
            ? $"{option.Name} needs a value: {option.HelpName}"
            : error.Message.TrimEnd('.');
    }
}
