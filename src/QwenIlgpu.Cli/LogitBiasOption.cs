using System.CommandLine;
using System.CommandLine.Parsing;

namespace QwenIlgpu.Cli;

/// <summary>The option --logit-bias ID=VALUE, which may be given several times.</summary>
internal static class LogitBiasOption
{
    public static Option<KeyValuePair<int, float>[]> Create() => new("--logit-bias")
    {
        Description = "Add a number to a token's logit, -inf forbids the token; may be given several times.",
        HelpName = "ID=VALUE",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
        CustomParser = Parse,
    };

    /// <summary>Refuses ids that the model's tokenizer does not have.</summary>
    public static void Check(IReadOnlyDictionary<int, float>? biases, QwenModel model)
    {
        foreach (int id in biases?.Keys ?? [])
        {
            if (id >= model.VocabularySize)
            {
                throw new UsageException(
                    $"--logit-bias names token {id}; this model has ids from 0 to {model.VocabularySize - 1}");
            }

            if (!model.HasToken(id))
                throw new UsageException($"--logit-bias names token {id}; no token of this model has this id");
        }
    }

    private static KeyValuePair<int, float>[]? Parse(ArgumentResult result)
    {
        var biases = new Dictionary<int, float>();
        foreach (Token token in result.Tokens)
        {
            string[] parts = token.Value.Split('=');
            int? id = NumberOption.Parse<int>(parts[0]);
            float? bias = parts.Length != 2 ? null : parts[1] == "-inf" ? float.NegativeInfinity : NumberOption.Parse<float>(parts[1]);
            if (id is null or < 0 || bias is null or float.PositiveInfinity)
            {
                result.AddError($"--logit-bias is '{token.Value}'; it must be a token id, =, and a number or -inf");
                return null;
            }

            if (!biases.TryAdd(id.Value, bias.Value))
            {
                result.AddError($"--logit-bias names token {id} twice");
                return null;
            }
        }

        return [.. biases];
    }
}
