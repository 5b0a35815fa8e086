using System.Collections;
using System.Reflection;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>What a caller hands over is his to change: whatever he does to it while his request waits, the answer is what he asked for.</summary>
[NonParallelizable]
internal sealed class CallersDataTests
{
    private const int NoSuchId = 1 << 30;

    private static readonly int[] Prompt = TestModels.Tiny.Tokenize("Once upon a time there was a");

    private static readonly SamplingOptions Greedy = new() { Temperature = 0 };

    private static readonly ChatTemplateOptions NoThinking = new() { EnableThinking = false };

    private static readonly Dictionary<string, Func<Request>> Requests = new()
    {
        ["SamplingOptions.LogitBias"] = () =>
        {
            var bias = new HostileDictionary { [283] = -5, [299] = 4 };
            return Of(Greedy with { LogitBias = bias }, bias.Turn);
        },
        ["SamplingOptions.LogitBias, changed"] = () =>
        {
            var bias = new Dictionary<int, float> { [283] = -5, [299] = 4 };
            return Of(Greedy with { LogitBias = bias }, () => (bias[NoSuchId], bias[299]) = (1, -100));
        },
        ["SamplingOptions.AllowedTokenIds"] = () =>
        {
            var allowed = new HostileList<int>(Enumerable.Range(250, 500));
            return Of(Greedy with { AllowedTokenIds = allowed }, allowed.Turn);
        },
        ["SamplingOptions.AllowedTokenIds, changed"] = () =>
        {
            var allowed = new List<int>(Enumerable.Range(250, 500));
            return Of(Greedy with { AllowedTokenIds = allowed }, () => (allowed[0], allowed[1]) = (NoSuchId, -1));
        },
        ["GenerationOptions.StopStrings"] = () =>
        {
            var stops = new HostileList<string>(["zebra"]);
            return Of(Greedy, stops.Turn, stops);
        },
        ["GenerationOptions.StopStrings, changed"] = () =>
        {
            var stops = new List<string> { "zebra" };
            return Of(Greedy, () => stops[0] = null!, stops);
        },
        ["promptIds"] = () =>
        {
            int[] ids = [.. Prompt];
            return new Request(engine => engine.GenerateAsync(ids, Options(Greedy)), () => Array.Fill(ids, NoSuchId));
        },
        ["messages"] = () =>
        {
            var messages = new HostileList<PromptMessage>([PromptMessage.User("Tell me a story.")]);
            return new Request(engine => engine.GenerateAsync(messages, NoThinking, Options(Greedy)), messages.Turn);
        },
        ["PromptMessage.ToolCalls"] = () =>
        {
            var calls = new HostileList<PromptToolCall>([new("look", new JsonObject { ["at"] = "fox" })]);
            PromptMessage[] messages =
            [
                PromptMessage.User("Tell me a story."), PromptMessage.Assistant("") with { ToolCalls = calls }, PromptMessage.Tool("a fox"),
            ];
            return new Request(engine => engine.GenerateAsync(messages, NoThinking, Options(Greedy)), () =>
            {
                calls.Turn();
                Array.Clear(messages);
            });
        },
        ["PromptToolCall.Arguments"] = () =>
        {
            var arguments = new JsonObject { ["at"] = "fox" };
            PromptMessage[] messages =
            [
                PromptMessage.User("Tell me a story."), PromptMessage.Assistant("") with { ToolCalls = [new("look", arguments)] }, PromptMessage.Tool("a fox"),
            ];
            return new Request(engine => engine.GenerateAsync(messages, NoThinking, Options(Greedy)), () => arguments["at"] = "a bear and a zebra");
        },
        ["ChatTemplateOptions.Tools"] = () =>
        {
            var tools = new JsonArray(JsonNode.Parse("""{"type": "function", "function": {"name": "look", "parameters": {}}}"""));
            return new Request(
                engine => engine.GenerateAsync([PromptMessage.User("Tell me a story.")], NoThinking with { Tools = tools }, Options(Greedy)), tools.Clear);
        },
        ["ChatTemplateOptions.Variables"] = () =>
        {
            var variables = new JsonObject { ["enable_thinking"] = true };
            return new Request(
                engine => engine.GenerateAsync([PromptMessage.User("Tell me a story.")], NoThinking with { Variables = variables }, Options(Greedy)), variables.Clear);
        },
    };

    [TestCaseSource(nameof(Names))]
    public async Task ChangedWhileTheRequestWaitsChangesNothing(string name)
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, ContextTokens = 1024 });
        Request undisturbed = Requests[name]();
        string expected = await Answer(undisturbed.Start(engine).GetAsyncEnumerator());

        // Called before the engine is busy and submitted while it is: changed before the first of the two, and between them.
        Request changed = Requests[name]();
        IAsyncEnumerable<GenerationUpdate> early = changed.Start(engine);
        Request waiting = Requests[name]();
        await using IAsyncEnumerator<GenerationUpdate> busy = engine
            .GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 900 }).GetAsyncEnumerator();
        Assert.That(await busy.MoveNextAsync(), Is.True);
        await using IAsyncEnumerator<GenerationUpdate> late = waiting.Start(engine).GetAsyncEnumerator();
        ValueTask<bool> first = late.MoveNextAsync();
        Assert.That(first.IsCompleted, Is.False, "the request waits");
        changed.Change();
        waiting.Change();
        await busy.DisposeAsync();

        Assert.That(await Answer(late, first), Is.EqualTo(expected));
        Assert.That(await Answer(early.GetAsyncEnumerator()), Is.EqualTo(expected));
    }

    [Test]
    public async Task ScoredIdsChangedWhileTheyWaitAreThoseOfTheCall()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, ContextTokens = 1024 });
        float[] expected = await engine.ScoreAsync(Prompt);
        int[] ids = [.. Prompt];
        await using IAsyncEnumerator<GenerationUpdate> busy = engine
            .GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 900 }).GetAsyncEnumerator();
        Assert.That(await busy.MoveNextAsync(), Is.True);

        Task<float[]> scores = engine.ScoreAsync(ids);
        Array.Fill(ids, NoSuchId);
        await busy.DisposeAsync();

        Assert.That(await scores, Is.EqualTo(expected));
    }

    [Test]
    public void EveryOptionThatCanBeChangedIsTried()
    {
        Type[] options = [typeof(GenerationOptions), typeof(SamplingOptions), typeof(ChatTemplateOptions), typeof(PromptMessage), typeof(PromptToolCall)];
        Type[] immutable = [typeof(string), typeof(SamplingPreset), typeof(SamplingOptions)];

        IEnumerable<string> mutable = options.SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => !p.PropertyType.IsValueType && !immutable.Contains(p.PropertyType)).Select(p => $"{t.Name}.{p.Name}"));

        Assert.That(mutable, Is.SubsetOf(Requests.Keys).And.Not.Empty);
    }

    private static IEnumerable<string> Names => Requests.Keys;

    private static GenerationOptions Options(SamplingOptions sampling) => new() { Sampling = sampling, MaxTokens = 10, IgnoreEos = true };

    private static Request Of(SamplingOptions sampling, Action change, IReadOnlyList<string>? stopStrings = null) => new(
        engine => engine.GenerateAsync(Prompt, Options(sampling) with { StopStrings = stopStrings ?? [] }), change);

    private static ValueTask<string> Answer(IAsyncEnumerator<GenerationUpdate> updates) => Answer(updates, updates.MoveNextAsync());

    private static async ValueTask<string> Answer(IAsyncEnumerator<GenerationUpdate> updates, ValueTask<bool> next)
    {
        var ids = new List<int>();
        for (bool more = await next; more; more = await updates.MoveNextAsync())
            ids.AddRange(updates.Current.TokenIds);
        return string.Join(' ', ids);
    }

    private sealed record Request(Func<Engine, IAsyncEnumerable<GenerationUpdate>> Start, Action Change);

    /// <summary>A list that can be read until it is turned against whoever kept it.</summary>
    private sealed class HostileList<T>(IEnumerable<T> items) : IReadOnlyList<T>
    {
        private readonly T[] items = [.. items];
        private bool turned;

        public int Count => Items.Length;

        public T this[int index] => Items[index];

        private T[] Items => turned ? throw new NotSupportedException("this list is no longer yours") : items;

        public void Turn() => turned = true;

        public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)Items).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    private sealed class HostileDictionary : IReadOnlyDictionary<int, float>
    {
        private readonly Dictionary<int, float> items = [];
        private bool turned;

        public int Count => Items.Count;

        public IEnumerable<int> Keys => Items.Keys;

        public IEnumerable<float> Values => Items.Values;

        private Dictionary<int, float> Items => turned ? throw new NotSupportedException("this dictionary is no longer yours") : items;

        public float this[int key]
        {
            get => Items[key];
            init => items[key] = value;
        }

        public void Turn() => turned = true;

        public bool ContainsKey(int key) => Items.ContainsKey(key);

        public bool TryGetValue(int key, out float value) => Items.TryGetValue(key, out value);

        public IEnumerator<KeyValuePair<int, float>> GetEnumerator() => Items.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
