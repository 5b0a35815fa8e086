using System.Text;
using System.Text.Json;

namespace QwenIlgpu.Tests;

internal sealed class JsonSyntaxTests
{
    [TestCase("", "line 1, column 1: a value is expected, but the text is empty")]
    [TestCase(" \n ", "line 2, column 2: a value is expected, but the text ends")]
    [TestCase("Entry not found", "line 1, column 1: a value is expected, not \"E\"")]
    [TestCase("\0", "line 1, column 1: a value is expected, not U+0000")]
    [TestCase("{", "line 1, column 2: a name in quotes or } is expected, but the text ends")]
    [TestCase("{\n  \"a\": 1\n  \"b\": 2\n}", "line 3, column 3: a comma or } is expected, not \"\"\"")]
    [TestCase("{\r\n \"é😀\": 1,\r\n \"é😀\": x}", "line 3, column 8: a value is expected, not \"x\"")]
    [TestCase("{\"a\": 1,}", "line 1, column 9: a name in quotes is expected, not \"}\"")]
    [TestCase("{a: 1}", "line 1, column 2: a name in quotes or } is expected, not \"a\"")]
    [TestCase("{\"a\" 1}", "line 1, column 6: a colon is expected, not \"1\"")]
    [TestCase("{\"a\":}", "line 1, column 6: a value is expected, not \"}\"")]
    [TestCase("{\"a\": 1]", "line 1, column 8: a comma or } is expected, not \"]\"")]
    [TestCase("[1 2]", "line 1, column 4: a comma or ] is expected, not \"2\"")]
    [TestCase("[1,]", "line 1, column 4: a value is expected, not \"]\"")]
    [TestCase("[", "line 1, column 2: a value or ] is expected, but the text ends")]
    [TestCase("[01]", "line 1, column 3: a comma or ] is expected, not \"1\"")]
    [TestCase("[-]", "line 1, column 3: a digit is expected, not \"]\"")]
    [TestCase("[1.]", "line 1, column 4: a digit is expected, not \"]\"")]
    [TestCase("[1e+", "line 1, column 5: a digit is expected, but the text ends")]
    [TestCase("[NaN]", "line 1, column 2: a value or ] is expected, not \"N\"")]
    [TestCase("[True]", "line 1, column 2: a value or ] is expected, not \"T\"")]
    [TestCase("[nul]", "line 1, column 2: a value or ] is expected, not \"n\"")]
    [TestCase("{}{}", "line 1, column 3: the end is expected, not \"{\"")]
    [TestCase("{} // so", "line 1, column 4: the end is expected, not \"/\"")]
    [TestCase("[\"ab", "line 1, column 5: the string that begins at line 1, column 2 has no closing quote")]
    [TestCase("[\"a\nb\"]", "line 1, column 4: a string holds the control character U+000A, which must be written as an escape")]
    [TestCase("[\"a\\x\"]", "line 1, column 4: a backslash is expected to begin an escape such as \\n or \\u00e9")]
    [TestCase("[\"\\u12\"]", "line 1, column 3: a backslash is expected to begin an escape such as \\n or \\u00e9")]
    [TestCase("[\"a\\ud800\"]", "line 1, column 4: a string holds half a character")]
    [TestCase("[\"\\udc00\"]", "line 1, column 3: a string holds half a character")]
    [TestCase("[\"\\ud83e\\udd8a\", -0.5e-3, true, null, {\"a\": []}]", null)]
    public void NamesLineColumnAndWhatIsExpected(string text, string? fault) =>
        Assert.That(JsonSyntax.FirstFault(Encoding.UTF8.GetBytes(text)), Is.EqualTo(fault));

    [TestCase(64, null)]
    [TestCase(65, "line 1, column 65: more than 64 levels are nested")]
    public void NestsAsDeepAsTheParserDoes(int depth, string? fault)
    {
        byte[] text = Encoding.ASCII.GetBytes(new string('[', depth) + new string(']', depth));
        Assert.That(JsonSyntax.FirstFault(text), Is.EqualTo(fault));
        Assert.That(Parses(text), Is.EqualTo(fault is null));
    }

    // Of damaged texts it finds a fault in those that the parser refuses, and in no other.
    [TestCase(3_000)]
    [TestCase(100_000, Category = "Exhaustive")]
    public void AgreesWithTheParser(int count)
    {
        byte[] valid = Encoding.UTF8.GetBytes(
            """{"é": [1, -2.5e+3, 0, true, false, null], "b": {"c": "x\n\u00e9\ud83e\udd8a\\", "d": [[], {}, [{"e": "\"/"}]]}, "f": "😀"}""");
        int refused = 0;
        for (int seed = 0; seed < count; seed++)
        {
            byte[] text = new Mutator(seed).Mutate(valid);
            if (!System.Text.Unicode.Utf8.IsValid(text))
                continue;                               // refused before it is parsed
            bool parses = Parses(text);
            refused += parses ? 0 : 1;
            string? fault = JsonSyntax.FirstFault(text);
            if (parses ? fault?.EndsWith("half a character", StringComparison.Ordinal) == false : fault is null)
                Assert.Fail($"seed {seed}: parses: {parses}, fault: {fault}: {Encoding.UTF8.GetString(text)}");
        }

        Assert.That(refused, Is.InRange(count / 4, count * 3 / 4));
    }

    private static bool Parses(byte[] text)
    {
        try
        {
            Utf8JsonReader reader = new(text);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
