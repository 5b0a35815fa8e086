using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The one place that says which modules a Qwen has, with their names and shapes. What they hold is a source's: it is asked for them in the
/// order in which they stand here.
/// </summary>
internal sealed class LayerBuilder(QwenConfig config, IWeightSource source)
{
    private readonly float eps = (float)config.RmsNormEps;

    public QwenWeights Build()
    {
        RotaryView rotary = source.Rotary(config);
        LinearWeight embed = Table("embed_tokens", MatrixUse.Embedding);
        LinearWeight head = config.TieWordEmbeddings ? embed : Table("lm_head", MatrixUse.Head);
        QwenLayer[] layers = [.. config.LayerTypes.Select((type, index) => Layer(index, type, rotary))];
        return new QwenWeights(embed, layers, Norm("norm"), head);
    }

    private QwenLayer Layer(int index, LayerType type, RotaryView rotary) => new(
        Norm($"layers.{index}.input_layernorm"),
        type == LayerType.FullAttention
            ? Attention(new LayerScope(index, GatedAttention.ModuleName), rotary)
            : DeltaNet(new LayerScope(index, GatedDeltaNet.ModuleName)),
        Norm($"layers.{index}.post_attention_layernorm"),
        Mlp(new LayerScope(index, FeedForward.Name)));

    private GatedAttention Attention(LayerScope scope, RotaryView rotary) => new(
        Projection(scope, "q_proj", 2 * config.QueryWidth, config.HiddenSize),
        Projection(scope, "k_proj", config.KeyValueWidth, config.HiddenSize),
        Projection(scope, "v_proj", config.KeyValueWidth, config.HiddenSize),
        Projection(scope, "o_proj", config.HiddenSize, config.QueryWidth),
        new QkNormWeights(
            source.Vector($"{scope}.q_norm.weight", VectorUse.ZeroCentredNorm, config.HeadDim),
            source.Vector($"{scope}.k_norm.weight", VectorUse.ZeroCentredNorm, config.HeadDim), rotary, eps),
        new AttentionShape(config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim));

    private GatedDeltaNet DeltaNet(LayerScope scope) => new(
        Projection(scope, "in_proj_qkv", config.LinearConvChannels, config.HiddenSize),
        Projection(scope, "in_proj_z", config.LinearValueWidth, config.HiddenSize),
        Gate(scope, "in_proj_b"),
        Gate(scope, "in_proj_a"),
        Projection(scope, "out_proj", config.HiddenSize, config.LinearValueWidth),
        new DeltaParameters(
            new Matrix<float>(
                source.Vector($"{scope}.conv1d.weight", VectorUse.Conv1d, config.LinearConvChannels, 1, config.LinearConvKernelDim),
                config.LinearConvChannels, config.LinearConvKernelDim),
            source.Vector($"{scope}.A_log", VectorUse.ALog, config.LinearNumValueHeads),
            source.Vector($"{scope}.dt_bias", VectorUse.DtBias, config.LinearNumValueHeads),
            source.Vector($"{scope}.norm.weight", VectorUse.Norm, config.LinearValueHeadDim),
            eps),
        new DeltaShape(config.LinearNumKeyHeads, config.LinearNumValueHeads, config.LinearKeyHeadDim, config.LinearValueHeadDim));

    private FeedForward Mlp(LayerScope scope) => new(
        Projection(scope, "gate_proj", config.IntermediateSize, config.HiddenSize),
        Projection(scope, "up_proj", config.IntermediateSize, config.HiddenSize),
        Projection(scope, "down_proj", config.HiddenSize, config.IntermediateSize));

    private NormWeight Norm(string module) => new(source.Vector($"{module}.weight", VectorUse.ZeroCentredNorm, config.HiddenSize), eps);

    private LinearWeight Table(string name, MatrixUse use) =>
        source.Matrix(new MatrixModule(null, name, config.VocabSize, config.HiddenSize, use));

    private LinearWeight Projection(LayerScope scope, string name, int rows, int columns) =>
        source.Matrix(new MatrixModule(scope, name, rows, columns, MatrixUse.Projection));

    private LinearWeight Gate(LayerScope scope, string name) =>
        source.Matrix(new MatrixModule(scope, name, config.LinearNumValueHeads, config.HiddenSize, MatrixUse.Gate));
}

/// <summary>Where the weights of a model come from.</summary>
internal interface IWeightSource
{
    /// <summary>A module's weight [N, K].</summary>
    LinearWeight Matrix(MatrixModule module);

    /// <summary>A small tensor of this name and shape, as floats.</summary>
    ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape);

    /// <summary>Rotations of every position, which no checkpoint holds.</summary>
    RotaryView Rotary(QwenConfig config);
}

/// <summary>A module with a weight [N, K], the model's own or one of a part of a layer.</summary>
/// <param name="Scope">That part; null for the model's own.</param>
/// <param name="ShortName">Its name there, such as <c>q_proj</c>.</param>
/// <param name="Rows">N: output features.</param>
/// <param name="Columns">K: input features.</param>
/// <param name="Use">What the model does with it.</param>
internal readonly record struct MatrixModule(LayerScope? Scope, string ShortName, int Rows, int Columns, MatrixUse Use)
{
    /// <summary>Canonical name, such as <c>layers.3.self_attn.q_proj</c>.</summary>
    public string Name => Scope is null ? ShortName : $"{Scope}.{ShortName}";
}

/// <summary>What a matrix is to the model, which decides how it may be stored.</summary>
internal enum MatrixUse
{
    /// <summary>A linear layer inside a decoder layer.</summary>
    Projection,

    /// <summary>A projection to the delta rule's gates, never quantised on load.</summary>
    Gate,

    /// <summary>The token embedding, read row by row.</summary>
    Embedding,

    /// <summary>The output head.</summary>
    Head,
}

/// <summary>What a small tensor is to the model.</summary>
internal enum VectorUse
{
    /// <summary>Weight of an RMSNorm that multiplies by 1 + weight.</summary>
    ZeroCentredNorm,

    /// <summary>Weight of an RMSNorm that multiplies by weight.</summary>
    Norm,

    /// <summary>Taps of the causal convolution.</summary>
    Conv1d,

    /// <summary>Logarithm of the delta rule's decay rate.</summary>
    ALog,

    /// <summary>Bias of the delta rule's time step.</summary>
    DtBias,
}
