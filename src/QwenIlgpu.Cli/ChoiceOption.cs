using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>Options whose value is one of a few words.</summary>
internal static class ChoiceOption
{
    /// <summary>The value that a word stands for; the type's default value where the option is not given.</summary>
    public static Option<T> Of<T>(string name, string description, params (string Word, T Value)[] choices)
    {
        var option = new Option<T>(name)
        {
            Description = description,
            HelpName = string.Join('|', choices.Select(c => c.Word)),
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result =>
            {
                string text = result.Tokens[^1].Value;
                foreach ((string word, T meaning) in choices)
                {
                    if (word == text)
                        return meaning;
                }

                result.AddError($"{name} is '{text}'; it must be {string.Join(" or ", choices.Select(c => c.Word))}");
                return default!;
            },
        };

        // Of an enumeration the parser would offer its own names as well.
        option.CompletionSources.Clear();
        option.CompletionSources.Add([.. choices.Select(c => c.Word)]);
        return option;
    }
}
