using System.Collections.Frozen;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace QwenIlgpu;

/// <summary>
/// Generates text with a model, many sequences at once. It owns the caches and one thread, the only one that runs steps; calls
/// hand it requests and read what it draws, each at its own pace. It borrows the model, which must outlive it.
/// </summary>
/// <example>
/// Two conversations at once:
/// <code>
/// await using var engine = new Engine(model, new EngineOptions { MaxSequences = 2, ContextTokens = 512 });
/// await Task.WhenAll(AskAsync("What is the capital of Norway?"), AskAsync("What is 7 + 5?"));
///
/// async Task AskAsync(string question)
/// {
///     var answer = new System.Text.StringBuilder();
///     await foreach (GenerationUpdate update in engine.GenerateAsync([PromptMessage.User(question)]))
///         answer.Append(update.Kind == TextKind.Answer ? update.Text : "");
///     Console.WriteLine(answer);
/// }
/// </code>
/// </example>
public sealed class Engine : IAsyncDisposable
{
    private readonly QwenModel model;
    private readonly EngineLoop loop;

    /// <summary>Allocates caches and starts the engine's thread.</summary>
    /// <param name="model">The model; it must not be disposed before the engine.</param>
    /// <param name="options">Capacity; null takes the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it, its value and the range.</exception>
    /// <exception cref="InsufficientMemoryException">The engine does not fit the device's memory; the message has every part's size, the memory, and what would fit.</exception>
    public Engine(QwenModel model, EngineOptions? options = null)
        : this(model, options, new StepRunnerOptions(Graphs: options?.CudaGraphs ?? true))
    {
    }

    internal Engine(QwenModel model, EngineOptions? options, StepRunnerOptions runnerOptions)
    {
        ArgumentNullException.ThrowIfNull(model);
        this.model = model;
        EngineCapacity wanted = (options ?? new EngineOptions()).Resolve(model.Config, DeviceRoom.DefaultCacheBytes(model.Device));
        loop = new EngineLoop(model, wanted, runnerOptions);
    }

    /// <summary>The model that it generates with.</summary>
    public QwenModel Model => model;

    /// <summary>Longest sequence in tokens, prompt and answer together.</summary>
    public int ContextTokens => loop.Capacity.ContextTokens;

    /// <summary>Tokens of attention cache that all live sequences share.</summary>
    public int CacheTokens => loop.Capacity.CacheTokens;

    /// <summary>Most prompt tokens of one prefill step: what was asked for, or what the memory allowed.</summary>
    public int PrefillChunkTokens => loop.Capacity.PrefillChunkTokens;

    /// <summary>What the prefix cache has saved so far, and what it holds now.</summary>
    public PrefixCacheUsage PrefixCache => loop.Prefixes.Usage;

    internal EngineLoop Loop => loop;

    /// <summary>Generates from token ids. What is handed over is copied in the call: later changes of it change nothing.</summary>
    /// <param name="promptIds">The prompt, at least one token, each id one that the tokenizer has a token for.</param>
    /// <param name="options">Limits, sampling, stop strings; null takes the defaults.</param>
    /// <param name="cancellationToken">Ends the generation; its sequence is freed within one step, as it is when the loop is left early.</param>
    /// <returns>
    /// Updates as text becomes final; the last one has the finish reason and the usage. The request is submitted when they are first asked for,
    /// which throws <see cref="EngineQueueFullException"/> where too many wait, <see cref="EngineStoppedException"/> where a step has failed, and
    /// <see cref="InvalidDataException"/> where the model yields logits that are NaN or infinite.
    /// </returns>
    /// <exception cref="ArgumentException">The prompt is empty, holds an unknown id or does not fit the context, or an option is invalid; thrown by the call itself.</exception>
    /// <exception cref="InvalidDataException">The checkpoint's end ids or sampling defaults are at fault, and the options leave them to it.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(
        ReadOnlyMemory<int> promptIds, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Generate(promptIds.ToArray(), nameof(promptIds), options, cancellationToken);

    /// <summary>Generates from a text without the chat template; control tokens in it count as such.</summary>
    /// <inheritdoc cref="GenerateAsync(ReadOnlyMemory{int}, GenerationOptions?, CancellationToken)"/>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(string text, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Generate(model.Tokenizer.Encode(text, parseSpecial: true), nameof(text), options, cancellationToken);
    }

    /// <summary>Generates the next turn of a conversation, rendered with the model's chat template.</summary>
    /// <param name="messages">The conversation so far.</param>
    /// <param name="template">Thinking, tools, which the last update then has the calls of; null takes the template's defaults.</param>
    /// <param name="options">Limits, sampling, stop strings; null takes the defaults.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
    /// <exception cref="ArgumentException">The template refuses the messages, or as for token ids.</exception>
    /// <exception cref="InvalidDataException">The checkpoint's chat template is at fault.</exception>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(
        IReadOnlyList<PromptMessage> messages, ChatTemplateOptions? template = null, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        int[] ids = model.IdsOf(messages, template);
        options = (options ?? new GenerationOptions()) with { Tools = model.ToolsOf(template) };
        return Generate(ids, nameof(messages), options, cancellationToken);
    }

    /// <summary>
    /// Log-probabilities of the tokens of a text, each after all before it: natural logarithms of the model's own distribution over the
    /// tokenizer's ids. It shares steps with other requests; logits are computed in blocks, so that their memory does not grow with the text.
    /// </summary>
    /// <param name="ids">The text, at least one token, each id one that the tokenizer has a token for.</param>
    /// <param name="cancellationToken">Ends the scoring; its sequence is freed within one step.</param>
    /// <returns>One value for each token but the first, which nothing comes before: the value at i is that of <c>ids[i + 1]</c>.</returns>
    /// <exception cref="ArgumentException">There are no ids, one is unknown or they do not fit the context; thrown by the call itself.</exception>
    /// <exception cref="EngineQueueFullException">Too many requests have not ended.</exception>
    /// <exception cref="InvalidDataException">The model yields logits that are NaN or infinite.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public Task<float[]> ScoreAsync(ReadOnlyMemory<int> ids, CancellationToken cancellationToken = default)
    {
        int[] own = ids.ToArray();
        CheckPrompt(own, nameof(ids));
        loop.ThrowIfStopped();
        return own.Length == 1 ? Task.FromResult<float[]>([]) : ReadScoresAsync(own, cancellationToken);
    }

    /// <summary>What states in the engine's caches depend on, so that no other engine goes on with them.</summary>
    internal string StateFingerprint => model.Fingerprint(
        $"{loop.Capacity.KvType}", $"{loop.Capacity.DeltaStateType}", $"{loop.Capacity.RingRows}", $"{Kernels.KvCache.PageTokens}");

    /// <summary>Has the engine's thread read or write the prefix cache, between two steps.</summary>
    internal Task VisitPrefixesAsync(Action<PrefixArchive> visit) => loop.VisitPrefixesAsync(visit);

    /// <summary>Ends every live request with <see cref="ObjectDisposedException"/>, stops the thread and frees the caches.</summary>
    public ValueTask DisposeAsync() => loop.DisposeAsync();

    // Everything of the caller's is copied, then checked, then kept.
    private IAsyncEnumerable<GenerationUpdate> Generate(int[] promptIds, string parameter, GenerationOptions? options, CancellationToken cancellationToken)
    {
        options = (options ?? new GenerationOptions()).CopyChecked(nameof(options));
        CheckPrompt(promptIds, parameter);
        ResolvedSampling sampling = ResolvedSampling.Resolve(
            options.Sampling, model.GenerationConfig, model.VocabularySize, model.HasToken,
            () => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))));
        int maxTokens = Math.Min(options.MaxTokens, ContextTokens - promptIds.Length + 1);
        IReadOnlySet<int> endIds = options.IgnoreEos ? FrozenSet<int>.Empty : model.EndIds;
        loop.ThrowIfStopped();
        return ReadAsync(promptIds, maxTokens, endIds, sampling, options, cancellationToken);
    }

    private void CheckPrompt(int[] ids, string parameter)
    {
        if (ids.Length == 0)
            throw new ArgumentException("the prompt is empty; generation needs at least one token", parameter);
        if (ids.Length > ContextTokens)
        {
            throw new ArgumentException(
                $"the prompt has {ids.Length} tokens, the context {ContextTokens}; shorten it or raise {nameof(EngineOptions.ContextTokens)}", parameter);
        }


        int bad = Array.FindIndex(ids, id => !model.HasToken(id));
        if (bad >= 0)
        {
            string gaps = model.IdsWithoutToken.Count > 0 ? $", {model.IdsWithoutToken.Count} of them without a token" : "";
            throw new ArgumentException(
                $"prompt id {ids[bad]} at index {bad} is no token: ids are 0 to {model.VocabularySize - 1}{gaps}", parameter);
        }
    }

    private async Task<float[]> ReadScoresAsync(int[] ids, CancellationToken cancellationToken)
    {
        var request = new ScoreRequest(ids);
        cancellationToken.ThrowIfCancellationRequested();
        loop.Submit(request);
        using CancellationTokenRegistration registration = cancellationToken.Register(() => loop.Cancel(request, new OperationCanceledException(cancellationToken)));
        try
        {
            return await request.Scores.ConfigureAwait(false);
        }
        catch (NonFiniteLogitsException e)
        {
            throw await model.ExplainAsync(e, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<GenerationUpdate> ReadAsync(
        int[] promptIds, int maxTokens, IReadOnlySet<int> endIds, ResolvedSampling sampling, GenerationOptions options,
        CancellationToken callToken, [EnumeratorCancellation] CancellationToken loopToken = default)
    {
        long start = Stopwatch.GetTimestamp();
        var parser = new OutputParser(model.Tokenizer, options.StopStrings, model.Thinking, options.Tools, promptIds);
        var stream = new TokenStream(maxTokens, sampling.TopLogProbs ?? -1);
        var request = new GenerationRequest(promptIds, maxTokens, endIds, sampling, stream) { PromptProgress = options.PromptProgress };
        callToken.ThrowIfCancellationRequested();
        loopToken.ThrowIfCancellationRequested();
        loop.Submit(request);
        try
        {
            // Each token by itself: whoever cancels finds his own in the exception.
            using CancellationTokenRegistration ofCall = callToken.Register(() => loop.Cancel(request, new OperationCanceledException(callToken)));
            using CancellationTokenRegistration ofLoop = loopToken.Register(() => loop.Cancel(request, new OperationCanceledException(loopToken)));
            var reader = new UpdateReader(model, stream, parser, callToken.CanBeCanceled ? callToken : loopToken);
            while (await reader.ReadAsync().ConfigureAwait(false) is { } update)
                yield return update;
            yield return reader.End(promptIds.Length, request.Sequence.ResumedTokens, sampling, start);
        }
        finally
        {
            loop.Cancel(request, new OperationCanceledException());
        }
    }
}
