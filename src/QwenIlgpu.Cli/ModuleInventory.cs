using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>Linear modules of a checkpoint that share place, shape and encoding.</summary>
/// <param name="Kind">Embedding, attention, DeltaNet, feed-forward, head.</param>
/// <param name="Module">Name inside a layer, such as <c>mlp.up_proj</c>, or of the whole.</param>
/// <param name="Encoding">How the weights are stored, in words.</param>
/// <param name="Shape">[N, K].</param>
/// <param name="Count">How many there are: layers, usually.</param>
/// <param name="Bytes">What all of them take on disk.</param>
internal sealed record ModuleGroup(string Kind, string Module, string Encoding, (int Rows, int Columns) Shape, int Count, long Bytes);

/// <summary>Lists the modules that a model is built of and says how a checkpoint stores each; loads none.</summary>
internal sealed class ModuleInventory : IWeightSource
{
    private readonly List<MatrixModule> modules = [];

    public static IReadOnlyList<ModuleGroup> Of(Checkpoint checkpoint) =>
    [
        .. ModulesOf(checkpoint.Config).Where(m => checkpoint.Config.Experts is null || m.Scope?.Part != FeedForward.Name)
            .Select(m => Describe(checkpoint, m)).Concat(ExpertInventory.Of(checkpoint))
            .GroupBy(g => (g.Kind, g.Module, g.Encoding, g.Shape))
            .Select(g => g.First() with { Count = g.Sum(x => x.Count), Bytes = g.Sum(x => x.Bytes) }),
    ];

    /// <summary>The linear modules of a shape, in the order in which a token meets them.</summary>
    public static IEnumerable<MatrixModule> ModulesOf(QwenConfig config)
    {
        var inventory = new ModuleInventory();
        _ = new LayerBuilder(config, inventory).Build();
        return inventory.modules.OrderBy(m => m.Use == MatrixUse.Head);
    }

    public LinearWeight Matrix(MatrixModule module)
    {
        modules.Add(module);
        return new LinearWeight(module.Name, WeightMatrix.Dense(WeightType.Bf16, module.Rows, module.Columns));
    }

    public ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape) => default;

    public RotaryView Rotary(QwenConfig config) => default;

    private static ModuleGroup Describe(Checkpoint checkpoint, MatrixModule module)
    {
        ModuleEncoding encoding = checkpoint.Describe(module.Name, module.Rows, module.Columns);
        string place = module.Scope is { } scope ? $"{scope.Part}.{module.ShortName}" : module.ShortName;
        return new ModuleGroup(KindOf(module), place, encoding.Text, (module.Rows, module.Columns), 1, encoding.StoredBytes);
    }

    private static string KindOf(MatrixModule module) => module.Scope?.Part switch
    {
        GatedAttention.ModuleName => "attention",
        GatedDeltaNet.ModuleName => "delta_net",
        FeedForward.Name => "feed_forward",
        _ => module.Use == MatrixUse.Embedding ? "embedding" : "lm_head",
    };
}
