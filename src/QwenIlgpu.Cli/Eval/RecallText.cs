using System.Text;

namespace QwenIlgpu.Cli.Eval;

/// <summary>
/// What recall is asked about: a word that a text gives at its start, much text that has nothing to do with it, and the beginning of the
/// sentence that gave it. Everything is the same in every run.
/// </summary>
internal static class RecallText
{
    private static readonly string[] CodeWords =
    [
        "river", "garden", "silver", "window", "orange", "castle", "winter", "pepper",
        "island", "marble", "candle", "forest", "bottle", "anchor", "violin", "desert",
    ];

    private static readonly string[] Openings =
        ["In the morning", "Long ago", "Every day", "After a while", "One evening", "Far away", "In the spring", "Later"];

    private static readonly string[] Persons = ["a fox", "the old man", "a girl", "the baker", "a small dog", "the teacher", "my friend", "a bird"];
    private static readonly string[] Verbs = ["looked at", "walked past", "talked about", "painted", "found", "carried", "dreamt of", "waited for"];
    private static readonly string[] Things = ["the house", "a red boat", "the bridge", "a long road", "the market", "some bread", "the green hill", "a letter"];

    /// <summary>The most samples that have words of their own.</summary>
    public static int MostSamples => CodeWords.Length;

    /// <summary>The sentence that gives a sample's word.</summary>
    public static string Fact(int sample) => $"{Question}{Answer(sample)}.\n";

    /// <summary>What the word is to follow.</summary>
    public static string Question => "The code word is";

    /// <summary>A sample's word, with the blank before it.</summary>
    public static string Answer(int sample) => $" {CodeWords[sample]}";

    /// <summary>Sentences with at least so many words, none of them a code word.</summary>
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
