using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace QwenIlgpu.Extensions.AI;

/// <summary>
/// An <see cref="IChatClient"/> that answers with a model in this process. It keeps no conversations: each request brings all messages, and the
/// engine's prefix cache saves most of their prefill. Safe for any number of requests at once.
/// </summary>
/// <remarks>
/// Every option of <see cref="ChatOptions"/> is honoured or refused by its name. Thoughts are <see cref="TextReasoningContent"/>, in answers and in
/// messages sent back; calls of tools come whole, behind the text, with arguments of the types that the tools' schemas say. Embeddings are not
/// offered.
/// </remarks>
/// <example>
/// <code>
/// await using QwenChatClient client = await QwenChatClient.LoadAsync(path);
/// Console.WriteLine(await client.GetResponseAsync("What is the capital of Norway?"));
/// </code>
/// </example>
public sealed class QwenChatClient : IChatClient, IAsyncDisposable
{
    private readonly Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions?, GenerationOptions?, CancellationToken, IAsyncEnumerable<GenerationUpdate>> generate;
    private readonly Engine? engine;
    private readonly bool ownsEngine;
    private readonly ChatClientMetadata metadata;

    /// <summary>A client of an engine that somebody else owns and disposes after it.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="modelId">What the model is called in answers; null takes the last part of its path.</param>
    public QwenChatClient(Engine engine, string? modelId = null)
        : this(engine, modelId, ownsEngine: false)
    {
    }

    /// <summary>A client over anything that generates, for tests.</summary>
    internal QwenChatClient(
        Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions?, GenerationOptions?, CancellationToken, IAsyncEnumerable<GenerationUpdate>> generate, string modelId)
    {
        this.generate = generate;
        metadata = new ChatClientMetadata("qwen", defaultModelId: modelId);
    }

    private QwenChatClient(Engine engine, string? modelId, bool ownsEngine)
        : this((engine ?? throw new ArgumentNullException(nameof(engine))).GenerateAsync, modelId ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(engine.Model.Path)))
    {
        this.engine = engine;
        this.ownsEngine = ownsEngine;
    }

    /// <summary>Loads a model and starts an engine, both of which end with the client.</summary>
    /// <param name="path">The checkpoint's directory.</param>
    /// <param name="modelOptions">How it is loaded; null takes the defaults.</param>
    /// <param name="engineOptions">What the engine holds; null takes the defaults.</param>
    /// <param name="modelId">What the model is called in answers; null takes the last part of its path.</param>
    /// <param name="cancellationToken">Ends the loading.</param>
    /// <exception cref="InvalidDataException">The checkpoint is at fault.</exception>
    /// <exception cref="InsufficientMemoryException">Model or engine do not fit the device's memory.</exception>
    public static async Task<QwenChatClient> LoadAsync(
        string path, ModelOptions? modelOptions = null, EngineOptions? engineOptions = null, string? modelId = null,
        CancellationToken cancellationToken = default)
    {
        QwenModel model = await QwenModel.LoadAsync(path, modelOptions, cancellationToken: cancellationToken).ConfigureAwait(false);
        try
        {
            return new QwenChatClient(new Engine(model, engineOptions), modelId, ownsEngine: true);
        }
        catch
        {
            await model.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">A message holds what the model does not take, or an option cannot be honoured; thrown by the call itself.</exception>
    /// <exception cref="ArgumentException">A message or an option is invalid, or the template refuses the conversation; thrown by the call itself.</exception>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        string modelId = metadata.DefaultModelId!;
        ChatRequest request = ChatRequest.Read(options, this, modelId);
        List<PromptMessage> conversation = ConversationReader.Read(messages, options?.Instructions);
        return StreamAsync(generate(conversation, request.Template, request.Generation, cancellationToken), new AnswerUpdates(request, modelId), cancellationToken);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? metadata
            : serviceType.IsInstanceOfType(engine) ? engine
            : serviceType.IsInstanceOfType(engine?.Model) ? engine!.Model
            : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Ends the engine and frees the model, if the client has made them.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!ownsEngine)
            return;
        await engine!.DisposeAsync().ConfigureAwait(false);
        await engine.Model.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc cref="DisposeAsync"/>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(
        IAsyncEnumerable<GenerationUpdate> generation, AnswerUpdates updates, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (GenerationUpdate update in generation.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            foreach (ChatResponseUpdate told in updates.Of(update))
                yield return told;
        }
    }
}
