using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using QwenIlgpu.Extensions.AI;

namespace QwenIlgpu.Tests;

/// <summary>Clients that a container makes and disposes.</summary>
[NonParallelizable]
internal sealed class RegistrationTests
{
    [Test]
    public async Task ARegisteredClientLoadsAnswersAndEndsWithItsContainer()
    {
        var services = new ServiceCollection();
        services.AddQwenChatClient(Tiny).UseFunctionInvocation();
        QwenChatClient own;
        await using (ServiceProvider provider = services.BuildServiceProvider())
        {
            IChatClient client = provider.GetRequiredService<IChatClient>();
            own = client.GetService<QwenChatClient>()!;

            Assert.That(client.GetService<FunctionInvokingChatClient>(), Is.Not.Null);
            Assert.That((await AskAsync(client)).Text, Is.EqualTo("The capital of Norway is Oslo."));
            Assert.That(provider.GetRequiredService<IChatClient>(), Is.SameAs(client));
        }

        Assert.That(async () => await AskAsync(own), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task KeysTellModelsApart()
    {
        var services = new ServiceCollection();
        services.AddKeyedQwenChatClient("small", Tiny);
        services.AddKeyedQwenChatClient("other", o => o.Path = "/no/such/model");
        await using ServiceProvider provider = services.BuildServiceProvider();

        Assert.That((await AskAsync(provider.GetRequiredKeyedService<IChatClient>("small"))).ModelId, Is.EqualTo("tiny"));
        Assert.That(
            () => provider.GetRequiredKeyedService<IChatClient>("other"),
            Throws.InstanceOf<OptionsValidationException>().With.Message.Contains("Path is '/no/such/model'; there is no such directory"));
    }

    [Test]
    public void AnEmptyPathIsRefused()
    {
        var services = new ServiceCollection();
        services.AddQwenChatClient(_ => { });
        using ServiceProvider provider = services.BuildServiceProvider();

        Assert.That(
            () => provider.GetRequiredService<IStartupValidator>().Validate(),
            Throws.InstanceOf<OptionsValidationException>().With.Message.Contains("Path is empty; it must be a checkpoint's directory"));
    }

    // The model that somebody else has made stays his.
    [Test]
    public async Task AClientOfAnothersEngineLeavesItRunning()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, ContextTokens = 256 });
        await using (var client = new QwenChatClient(engine))
            await AskAsync(client);

        Assert.That((await AskAsync(new QwenChatClient(engine))).FinishReason, Is.EqualTo(ChatFinishReason.Stop));
    }

    private static void Tiny(QwenChatClientOptions options)
    {
        options.Path = TestData.TinyModel;
        options.ModelId = "tiny";
        options.Model = new ModelOptions { Device = DeviceSelection.Cpu };
        options.Engine = new EngineOptions { MaxSequences = 1, ContextTokens = 256 };
    }

    private static Task<ChatResponse> AskAsync(IChatClient client) => client.GetResponseAsync(
        "What is the capital of Norway?",
        new ChatOptions { Temperature = 0, MaxOutputTokens = 24, Reasoning = new ReasoningOptions { Effort = ReasoningEffort.None } });
}
