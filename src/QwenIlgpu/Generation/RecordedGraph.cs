using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>A step recorded and planned, not bound: its graph, what it yields, and where its inputs lie.</summary>
internal sealed record RecordedGraph(OpGraph Graph, RecordedStep Recorded, StepFields Fields)
{
    /// <summary>Records the feed of drawn tokens, the model, and the sampling, as far as the shape has them.</summary>
    public static RecordedGraph Of(
        QwenModel model, StepInputs inputs, Sampler sampler, ModelState state, StepShape shape, StepRunnerOptions options, ArrayView<int> tickets)
    {
        var graph = new OpGraph(shape.ToString());
        StepFields fields = inputs.FieldsOf(shape);
        if (shape.FeedsBack)
            sampler.RecordFeed(graph, inputs, fields);
        int blockRows = options.ScoreBlockRows == 0 ? ScoreOutput.MostRows(model.Config.VocabSize) : options.ScoreBlockRows;
        var scores = new ScoreOutput(sampler.Scores, model.VocabularySize, sampler.IdsWithoutToken, blockRows);
        TensorRole residualRole = options.KeepsResiduals ? TensorRole.Output : TensorRole.Activation;
        var ops = new Ops(graph, model.Device.Loader, inputs, shape, residualRole, tickets, scores, options.Tile, options.DeltaForm);
        RecordedStep recorded = QwenGraph.Record(model.Weights, ops, state);
        if (shape.Samples && recorded.Logits is { } logits)
            sampler.Record(graph, logits, inputs.Device(fields.LogitSlot));
        graph.Plan();
        return new RecordedGraph(graph, recorded, fields);
    }
}
