using System.Text;

namespace QwenIlgpu.Cli.Eval;

/// <summary>
/// What recall is asked about: a code that a text gives at its start, much text that has nothing to do with it, and the question after the
/// code. Everything is the same in every run.
/// </summary>
internal static class RecallText
{
    private static readonly string[] Names =
    [
        "Mia", "Anna", "Oscar", "Paul", "Ivy", "Noah", "Sara", "Leo", "Emma", "Lucy", "Jack", "Rosa", "Hugo", "Kate", "Finn", "Nora",
    ];

    private static readonly string[] Openings =
        ["In the morning", "Long ago", "Every day", "After a while", "One evening", "Far away", "In the spring", "Later"];

    private static readonly string[] Persons = ["a fox", "the old man", "a girl", "the baker", "a small dog", "the teacher", "my friend", "a bird"];
    private static readonly string[] Verbs = ["looked at", "walked past", "talked about", "painted", "found", "carried", "dreamt of", "waited for"];
    private static readonly string[] Things = ["the house", "a red boat", "the bridge", "a long road", "the market", "some bread", "the green hill", "a letter"];

    /// <summary>The most samples that are about somebody else each.</summary>
    public static int MostSamples => Names.Length;

    /// <summary>What a sample's text is to remember.</summary>
    public static string Fact(int sample) => $"Remember this. {AnswerStart(sample)}{Answer(sample)}.\n\n";

    /// <summary>What is asked behind much text.</summary>
    public static string Question(int sample) => $"\n\nWhat is the secret code of {Names[sample]}?";

    /// <summary>How the answer begins, which the model is given.</summary>
    public static string AnswerStart(int sample) => $"The secret code of {Names[sample]} is";

    /// <summary>What it is to find: four digits, a blank before each.</summary>
    public static string Answer(int sample)
    {
        var random = new Random(sample);
        return string.Concat(Enumerable.Range(0, 4).Select(_ => $" {random.Next(10)}"));
    }

    /// <summary>Sentences with at least so many words, none of them a digit.</summary>
    public static string Filler(int words, int seed)
    {
        var random = new Random(seed);
        var text = new StringBuilder();
        string One(string[] choices) => choices[random.Next(choices.Length)];
        for (int count = 0; count < words; count += 5)                        // a sentence has five words at least
            text.Append(One(Openings)).Append(", ").Append(One(Persons)).Append(' ').Append(One(Verbs)).Append(' ').Append(One(Things)).Append(". ");
        return text.ToString();
    }
}
