using System.Collections.Frozen;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace QwenIlgpu;

/// <summary>
/// Generates text with a model, many sequences at once. It owns the caches and one thread, the only one that runs steps; calls
/// hand it requests and read what it draws, each at its own pace. It borrows the model, which must outlive it.
/// </summary>
public sealed class Engine : IAsyncDisposable
{
    private readonly QwenModel model;
    private readonly EngineLoop loop;
    private readonly EngineCapacity capacity;

    /// <summary>Allocates caches and starts the engine's thread.</summary>
    /// <param name="model">The model; it must not be disposed before the engine.</param>
    /// <param name="options">Capacity; null takes the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it, its value and the range.</exception>
    public Engine(QwenModel model, EngineOptions? options = null)
        : this(model, options, new StepRunnerOptions(Graphs: options?.CudaGraphs ?? true))
    {
    }

    internal Engine(QwenModel model, EngineOptions? options, StepRunnerOptions runnerOptions)
    {
        ArgumentNullException.ThrowIfNull(model);
        this.model = model;
        capacity = (options ?? new EngineOptions()).Resolve(model.Config);
        loop = new EngineLoop(model, capacity, runnerOptions);
    }

    /// <summary>Longest sequence in tokens, prompt and answer together.</summary>
    public int ContextTokens => capacity.ContextTokens;

    /// <summary>Most prompt tokens of one prefill step: what was asked for, or what the memory allowed.</summary>
    public int PrefillChunkTokens => loop.Capacity.PrefillChunkTokens;

    internal EngineLoop Loop => loop;

    /// <summary>Generates from token ids.</summary>
    /// <param name="promptIds">The prompt, at least one token, each id below the tokenizer's size.</param>
    /// <param name="options">Limits, sampling, stop strings; null takes the defaults.</param>
    /// <param name="cancellationToken">Ends the generation; its sequence is freed within one step, as it is when the loop is left early.</param>
    /// <returns>Updates as text becomes final; the last one has the finish reason and the usage.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, holds an unknown id or does not fit the context, or an option is invalid; thrown by the call itself.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(
        ReadOnlyMemory<int> promptIds, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        CheckPrompt(promptIds.Span);
        ResolvedSampling sampling = ResolvedSampling.Resolve(
            options.Sampling, model.GenerationConfig, model.VocabularySize, model.HasToken,
            () => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))));
        int maxTokens = Math.Min(options.MaxTokens, capacity.ContextTokens - promptIds.Length + 1);
        IReadOnlySet<int> endIds = options.IgnoreEos ? FrozenSet<int>.Empty : model.EndIds;
        loop.ThrowIfStopped();
        return ReadAsync(promptIds.ToArray(), maxTokens, endIds, sampling, options.StopStrings, cancellationToken);
    }

    /// <summary>Generates from a text without the chat template; control tokens in it count as such.</summary>
    /// <inheritdoc cref="GenerateAsync(ReadOnlyMemory{int}, GenerationOptions?, CancellationToken)"/>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(string text, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        return GenerateAsync(model.Tokenizer.Encode(text, parseSpecial: true), options, cancellationToken);
    }

    /// <summary>Generates the next turn of a conversation, rendered with the model's chat template.</summary>
    /// <param name="messages">The conversation so far.</param>
    /// <param name="template">Thinking, tools; null takes the template's defaults.</param>
    /// <param name="options">Limits, sampling, stop strings; null takes the defaults.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
    /// <exception cref="ArgumentException">The template refuses the messages, or as for token ids.</exception>
    public IAsyncEnumerable<GenerationUpdate> GenerateAsync(
        IReadOnlyList<PromptMessage> messages, ChatTemplateOptions? template = null, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        RenderedPrompt prompt = model.Template.Render(messages, template ?? new ChatTemplateOptions());
        return GenerateAsync(model.Tokenizer.Encode(prompt), options, cancellationToken);
    }

    /// <summary>
    /// Log-probabilities of the tokens of a text, each after all before it: natural logarithms of the model's own distribution over the
    /// tokenizer's ids. It shares steps with other requests; logits are computed in blocks, so that their memory does not grow with the text.
    /// </summary>
    /// <param name="ids">The text, at least one token, each id below the tokenizer's size.</param>
    /// <param name="cancellationToken">Ends the scoring; its sequence is freed within one step.</param>
    /// <returns>One value for each token but the first, which nothing comes before: the value at i is that of <c>ids[i + 1]</c>.</returns>
    /// <exception cref="ArgumentException">There are no ids, one is unknown or they do not fit the context; thrown by the call itself.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public Task<float[]> ScoreAsync(ReadOnlyMemory<int> ids, CancellationToken cancellationToken = default)
    {
        CheckPrompt(ids.Span);
        loop.ThrowIfStopped();
        return ids.Length == 1 ? Task.FromResult<float[]>([]) : ReadScoresAsync(ids.ToArray(), cancellationToken);
    }

    /// <summary>Ends every live request with <see cref="ObjectDisposedException"/>, stops the thread and frees the caches.</summary>
    public ValueTask DisposeAsync() => loop.DisposeAsync();

    private void CheckPrompt(ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty)
            throw new ArgumentException("the prompt is empty; generation needs at least one token");
        if (ids.Length > capacity.ContextTokens)
        {
            throw new ArgumentException(
                $"the prompt has {ids.Length} tokens, the context {capacity.ContextTokens}; shorten it or raise {nameof(EngineOptions.ContextTokens)}");
        }

        int size = model.Tokenizer.VocabularySize;
        for (int i = 0; i < ids.Length; i++)
        {
            if ((uint)ids[i] >= (uint)size)
                throw new ArgumentException($"prompt id {ids[i]} at index {i} is no token: ids are 0 to {size - 1}");
        }
    }

    private async Task<float[]> ReadScoresAsync(int[] ids, CancellationToken cancellationToken)
    {
        var stream = new TokenStream(ids.Length - 1, 0);
        var request = GenerationRequest.OfScores(ids, stream);
        cancellationToken.ThrowIfCancellationRequested();
        loop.Submit(request);
        using CancellationTokenRegistration registration = cancellationToken.Register(() => loop.Cancel(request, new OperationCanceledException(cancellationToken)));
        return await stream.AllLogProbsAsync().ConfigureAwait(false);
    }

    private async IAsyncEnumerable<GenerationUpdate> ReadAsync(
        int[] promptIds, int maxTokens, IReadOnlySet<int> endIds, ResolvedSampling sampling, IReadOnlyList<string> stopStrings,
        CancellationToken callToken, [EnumeratorCancellation] CancellationToken loopToken = default)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(callToken, loopToken);
        long start = Stopwatch.GetTimestamp();
        var parser = new OutputParser(model.Tokenizer, stopStrings, promptIds);
        var stream = new TokenStream(maxTokens, sampling.TopLogProbs ?? -1);
        var request = new GenerationRequest(promptIds, maxTokens, endIds, sampling, stream);
        both.Token.ThrowIfCancellationRequested();
        loop.Submit(request);
        using CancellationTokenRegistration registration = both.Token.Register(() => loop.Cancel(request, new OperationCanceledException(both.Token)));
        try
        {
            var reader = new UpdateReader(stream, parser);
            while (await reader.ReadAsync().ConfigureAwait(false) is { } update)
                yield return update;
            yield return reader.End(promptIds.Length, sampling, start);
        }
        finally
        {
            loop.Cancel(request, new OperationCanceledException());
        }
    }
}
