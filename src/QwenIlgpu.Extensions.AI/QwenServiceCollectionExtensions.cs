using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace QwenIlgpu.Extensions.AI;

/// <summary>Registration of <see cref="QwenChatClient"/>.</summary>
public static class QwenServiceCollectionExtensions
{
    /// <summary>
    /// Registers an <see cref="IChatClient"/> that loads its model when it is first asked for; the container disposes it, and engine and model
    /// with it. Options are validated when the host starts.
    /// </summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options, such as <c>configuration.GetSection("Qwen").Bind</c>.</param>
    /// <returns>What layers can be put around the client with, such as <c>UseFunctionInvocation()</c>.</returns>
    public static ChatClientBuilder AddQwenChatClient(this IServiceCollection services, Action<QwenChatClientOptions> configure)
    {
        Configure(services, Options.DefaultName, configure);
        return services.AddChatClient(provider => Create(provider, Options.DefaultName));
    }

    /// <summary>The same under a key, for several models at once.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="serviceKey">The key, whose text also names the options.</param>
    /// <param name="configure">Sets the options.</param>
    /// <returns>What layers can be put around the client with.</returns>
    public static ChatClientBuilder AddKeyedQwenChatClient(this IServiceCollection services, string serviceKey, Action<QwenChatClientOptions> configure)
    {
        ArgumentException.ThrowIfNullOrEmpty(serviceKey);
        Configure(services, serviceKey, configure);
        return services.AddKeyedChatClient(serviceKey, provider => Create(provider, serviceKey));
    }

    private static void Configure(IServiceCollection services, string name, Action<QwenChatClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddOptions<QwenChatClientOptions>(name).Configure(configure).ValidateOnStart();
        services.AddSingleton<IValidateOptions<QwenChatClientOptions>>(new Validation(name));
    }

    // A container makes services on the thread that asks for them.
    private static QwenChatClient Create(IServiceProvider provider, string name)
    {
        QwenChatClientOptions options = provider.GetRequiredService<IOptionsMonitor<QwenChatClientOptions>>().Get(name);
        ModelOptions model = options.Model.LoggerFactory is null ? options.Model with { LoggerFactory = provider.GetService<ILoggerFactory>() } : options.Model;
        return QwenChatClient.LoadAsync(options.Path, model, options.Engine, options.ModelId).GetAwaiter().GetResult();
    }

    private sealed class Validation(string ownName) : IValidateOptions<QwenChatClientOptions>
    {
        public ValidateOptionsResult Validate(string? name, QwenChatClientOptions options) =>
            name != ownName ? ValidateOptionsResult.Skip : options.Fault() is { } fault ? ValidateOptionsResult.Fail(fault) : ValidateOptionsResult.Success;
    }
}

/// <summary>What a registered <see cref="QwenChatClient"/> loads. Its properties can be bound from configuration.</summary>
public sealed class QwenChatClientOptions
{
    /// <summary>The checkpoint's directory; there is no default.</summary>
    public string Path { get; set; } = "";

    /// <summary>What the model is called in answers; null takes the last part of <see cref="Path"/>.</summary>
    public string? ModelId { get; set; }

    /// <summary>How the model is loaded; without a logger factory of its own it takes the container's.</summary>
    public ModelOptions Model { get; set; } = new();

    /// <summary>What its engine holds.</summary>
    public EngineOptions Engine { get; set; } = new();

    /// <summary>What is wrong; null where nothing is.</summary>
    internal string? Fault() => Path.Length == 0
        ? $"{nameof(QwenChatClientOptions)}.{nameof(Path)} is empty; it must be a checkpoint's directory"
        : Directory.Exists(Path) ? null : $"{nameof(QwenChatClientOptions)}.{nameof(Path)} is '{Path}'; there is no such directory";
}
