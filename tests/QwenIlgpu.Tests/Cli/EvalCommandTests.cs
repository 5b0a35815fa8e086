using System.Text.Json;
using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Commands;
using QwenIlgpu.Cli.Eval;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen eval kld` and `qwen eval recall` on the tiny model, and what they count.</summary>
internal sealed class EvalCommandTests
{
    private const int TextTokens = 300;

    private string directory = "";

    [SetUp]
    public void MakeDirectory() => directory = Directory.CreateTempSubdirectory("qwen-eval-").FullName;

    [TearDown]
    public void DropDirectory() => Directory.Delete(directory, recursive: true);

    [Test]
    public void DivergenceOfAHandComputation()
    {
        static float Ln(double p) => (float)Math.Log(p);
        var divergence = new Divergence();

        divergence.Add([Ln(0.5), Ln(0.5), float.NegativeInfinity], [Ln(0.25), Ln(0.75), float.NegativeInfinity], next: 0);
        divergence.Add([Ln(0.25), Ln(0.75), float.NegativeInfinity], [Ln(0.25), Ln(0.75), float.NegativeInfinity], next: -1);

        // ½ ln 2 + ½ ln ⅔ = ½ ln 4⁄3, and nothing; the first finds another token likeliest.
        double first = Math.Log(4.0 / 3) / 2;
        Assert.That(divergence.Positions, Is.EqualTo(2));
        Assert.That(divergence.Mean, Is.EqualTo(first / 2).Within(1e-7));
        Assert.That(divergence.Median, Is.EqualTo(first / 2).Within(1e-7));
        Assert.That(divergence.Max, Is.EqualTo(first).Within(1e-7));
        Assert.That(divergence.SameTopPercent, Is.EqualTo(50));
        Assert.That((divergence.Reference.Value, divergence.Own.Value), Is.EqualTo((2.0, 4.0)).Within(1e-6));
    }

    [Test]
    public void LogProbabilitiesAreThoseOfTheTokensThatThereAre()
    {
        float[] row = new float[4];
        Divergence.ToLogProbabilities([1000, 1000 + (float)Math.Log(3), 5000, 1000], [2], row);

        Assert.That(row[2], Is.EqualTo(float.NegativeInfinity));
        Assert.That(new[] { row[0], row[1], row[3] }.Select(l => Math.Exp(l)), Is.EqualTo(new[] { 0.2, 0.6, 0.2 }).Within(1e-4));
    }

    [Test]
    public async Task ARunHeldAgainstItselfDiffersInNothing()
    {
        string reference = Save("f32");

        JsonElement json = Compare(reference, "f32").Expect(ExitCode.Done).Json;

        double Number(string name) => json.GetProperty(name).GetDouble();
        Assert.That((Number("mean_kl"), Number("median_kl"), Number("max_kl"), Number("same_top_percent")), Is.EqualTo((0.0, 0.0, 0.0, 100.0)));
        Assert.That(json.GetProperty("same_checkpoint").GetBoolean(), Is.True);
        Assert.That((Number("tokens"), Number("positions")), Is.EqualTo(((double)TextTokens, (double)TextTokens)));
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { KvType = KvType.F32 });
        float[] scores = await engine.ScoreAsync(Ids());
        Assert.That(Number("perplexity"), Is.EqualTo(Math.Exp(-scores.Average(s => (double)s))).Within(0.01).Percent);
        Assert.That(Number("reference_perplexity"), Is.EqualTo(Number("perplexity")));
    }

    [Test]
    public void FewerBitsOfCacheAreFurtherFromTheReference()
    {
        string reference = Save("f32");

        double[] means = [.. new[] { "bf16", "int8", "k8v4", "int4" }.Select(t => Compare(reference, t).Expect(ExitCode.Done).Json.GetProperty("mean_kl").GetDouble())];

        Assert.That(means, Is.Ordered.Ascending);
        Assert.That(means[0], Is.GreaterThan(0));
        Assert.That(means[^1], Is.LessThan(1e-3), "in nats: the cache changes few probabilities by more than a thousandth");
    }

    [Test]
    public void TheFileHoldsTheLogSoftmaxOfEveryRow()
    {
        using var file = ReferenceFile.Open(Save("f32", tokens: 70));
        int vocabulary = TestModels.Tiny.VocabularySize;
        using var sequences = new SequenceRunner(TestModels.Tiny, KvType.F32);
        float[] logits = sequences.Prefill(Ids()[..70]);

        Assert.That(file.Ids, Is.EqualTo(Ids()[..70]));
        Assert.That((file.Vocabulary, file.KvType), Is.EqualTo((vocabulary, "f32")));
        float[] row = new float[vocabulary];
        for (int position = 0; position < 70; position += 23)
        {
            double[] own = [.. logits.AsSpan(position * TestModels.Tiny.Config.VocabSize, vocabulary).ToArray().Select(l => (double)l)];
            double logSum = Math.Log(own.Where((_, id) => TestModels.Tiny.HasToken(id)).Sum(Math.Exp));
            file.Read(position, row);

            for (int id = 0; id < vocabulary; id++)
            {
                // A step of another length may round logits of this size otherwise.
                if (TestModels.Tiny.HasToken(id))
                    Assert.That(row[id], Is.EqualTo(own[id] - logSum).Within(1e-4), $"{position}, {id}");
            }
        }
    }

    [Test]
    public void AReferenceOfAnotherTextOrOfFewerTokensIsRefused()
    {
        string reference = Save("bf16", tokens: 50);
        string other = Path.Combine(directory, "other.txt");
        File.WriteAllText(other, "Something else altogether.");

        Assert.That(
            CommandLine.RunModel("eval", "kld", "--text", other, "--reference", reference).Expect(ExitCode.Failed).Error, Does.Contain("was written of another text: token 0 is"));
        Assert.That(
            CommandLine.RunModel("eval", "kld", "--text", TextFile(), "--reference", reference, "--tokens", "51").Expect(ExitCode.WrongUsage).Error,
            Does.Contain("--tokens is 51; ").And.Contain(" has 50").And.Contain("qwen eval kld --help"));
        Assert.That(
            CommandLine.RunWithoutModel("eval", "kld", "--text", other, "--reference", Path.Combine(TestData.TinyModel, "model.safetensors")).Expect(ExitCode.Failed).Error,
            Does.Contain("was not written by `qwen eval kld --save`"));
    }

    [Test]
    public void AnOutputThatIsTheTextIsRefused()
    {
        string text = TextFile();

        CommandLine run = CommandLine.RunWithoutModel("eval", "kld", "--text", text, "--save", text, "--model", TestData.TinyModel).Expect(ExitCode.WrongUsage);

        Assert.That(run.Error, Does.Contain("is the file of --text"));
        Assert.That(File.ReadAllText(text), Is.EqualTo(Text));
    }

    [Test]
    public void RecallTellsEveryDistance()
    {
        JsonElement json = CommandLine.RunModel("eval", "recall", "--tokens", "100,1000", "--samples", "2", "--json").Expect(ExitCode.Done).Json;

        JsonElement[] rows = [.. json.GetProperty("distances").EnumerateArray()];
        Assert.That(rows.Select(r => r.GetProperty("tokens").GetInt32()), Is.EqualTo(new[] { 100, 1000 }));
        foreach (JsonElement row in rows)
        {
            double mean = row.GetProperty("log_probability").GetDouble();
            Assert.That(mean, Is.LessThan(0).And.GreaterThanOrEqualTo(row.GetProperty("lowest_log_probability").GetDouble()));
            Assert.That(2 * mean / row.GetProperty("answer_tokens").GetInt32(), Is.EqualTo(row.GetProperty("log_probability_per_token").GetDouble()).Within(1e-5));
        }
    }

    // What the engine says of the last tokens of the same text.
    [Test]
    public async Task AnAnswersScoreIsThatOfItsTokensInTheWholeText([Values] KvType kvType)
    {
        int[] prompt = [.. Ids(), .. TestModels.Tiny.Tokenize(RecallText.Question(0))];
        int[] answer = TestModels.Tiny.Tokenize(RecallText.Answer(0) + RecallText.Answer(1));
        using var score = new AnswerScore(TestModels.Tiny, 512, kvType, DeltaStateType.F32);
        _ = score.Of([5, 6, 7], [8, 9], CancellationToken.None);                  // what ran before leaves nothing behind

        float[] scores = score.Of(prompt, answer, CancellationToken.None);

        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { KvType = kvType });
        float[] whole = await engine.ScoreAsync((int[])[.. prompt, .. answer]);

        // Steps are cut elsewhere: sums in another order, and codes of a few values one higher or lower.
        double tolerance = kvType is KvType.F32 ? 1e-3 : 0.05;
        Assert.That(scores, Is.EqualTo(whole[^answer.Length..]).Within(tolerance));
    }

    // The built-in model finds no code again: each digit is about as likely as any. What its cache holds may not change that.
    [TestCase(KvType.Int8)]
    [TestCase(KvType.K8V4)]
    [TestCase(KvType.Int4)]
    public void RecallStaysWhatItIsOverBf16Pages(KvType kvType)
    {
        const double MostNats = 0.02;
        using var reference = new AnswerScore(TestModels.Tiny, 1200, KvType.Bf16, DeltaStateType.F32);
        using var quantized = new AnswerScore(TestModels.Tiny, 1200, kvType, DeltaStateType.F32);
        double sum = 0;
        int count = 0;
        foreach (int words in new[] { 80, 500 })
        {
            for (int sample = 0; sample < 8; sample++)
            {
                int[] prompt = RecallCommand.PromptOf(TestModels.Tiny, sample, RecallText.Filler(words, seed: sample));
                int[] answer = RecallCommand.AnswerOf(TestModels.Tiny, sample);
                float[] expected = reference.Of(prompt, answer, CancellationToken.None);
                sum += quantized.Of(prompt, answer, CancellationToken.None).Zip(expected, (a, e) => Math.Abs((double)a - e)).Sum();
                count += answer.Length;
            }
        }

        TestContext.Out.WriteLine($"{kvType}: mean |Δ log p| = {sum / count:E2} nats of {count} tokens");
        Assert.That(sum / count, Is.LessThanOrEqualTo(MostNats).And.GreaterThan(0));
    }

    [Test]
    public void RecallIsFilledWithATextOrWithSentencesWithoutDigits()
    {
        Assert.That(RecallText.Filler(20_000, 1), Does.Not.Match("[0-9]"));
        for (int sample = 0; sample < RecallText.MostSamples; sample++)
        {
            Assert.That(RecallText.Answer(sample), Does.Match("^( [0-9]){4}$"));
            Assert.That(RecallText.Fact(sample), Does.Contain(RecallText.AnswerStart(sample) + RecallText.Answer(sample)));
        }

        double Of(params string[] options) => CommandLine.RunModel(["eval", "recall", "--tokens", "200", "--samples", "1", "--json", .. options])
            .Expect(ExitCode.Done).Json.GetProperty("distances")[0].GetProperty("log_probability").GetDouble();

        Assert.That(Of("--text", TextFile()), Is.Not.EqualTo(Of()));
    }

    [Test]
    public void ADistanceThatTheModelWasNotMadeForIsRefused() =>
        Assert.That(
            CommandLine.RunModel("eval", "recall", "--tokens", "100,4096").Expect(ExitCode.WrongUsage).Error,
            Does.Match(@"--tokens 4096 and \d+ of fact, question and answer reach \d+; this model was made for at most 4096 tokens"));

    private static string Text { get; } = RecallText.Filler(400, seed: 7);

    private static int[] Ids() => TestModels.Tiny.Tokenize(Text)[..TextTokens];

    private string TextFile()
    {
        string file = Path.Combine(directory, "text.txt");
        File.WriteAllText(file, Text);
        return file;
    }

    private string Save(string kvType, int tokens = TextTokens)
    {
        string file = Path.Combine(directory, "reference.safetensors");
        CommandLine.RunModel("eval", "kld", "--text", TextFile(), "--save", file, "--kv-type", kvType, "--tokens", $"{tokens}").Expect(ExitCode.Done);
        return file;
    }

    private CommandLine Compare(string reference, string kvType) =>
        CommandLine.RunModel("eval", "kld", "--text", TextFile(), "--reference", reference, "--kv-type", kvType, "--json");
}
