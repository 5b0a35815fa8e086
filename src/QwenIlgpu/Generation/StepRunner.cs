using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Microsoft.Extensions.Logging;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Runs steps of a model: fills the step's inputs, finds or records the graph of its shape, runs it. Owns the state of all
/// sequences and the activation arena. One thread uses it.
/// </summary>
internal sealed class StepRunner : IDisposable
{
    // Decode shapes are few and stay; prefill shapes are as many as prompts have lengths, and recording one is cheap.
    private const int MaxPrefillGraphs = 32;

    private readonly QwenModel model;
    private readonly DeviceMemory memory;
    private readonly StepBuffers buffers;
    private readonly Dictionary<StepShape, BoundStep> graphs = [];
    private readonly Queue<StepShape> prefillShapes = new();
    private readonly StepRunnerOptions options;
    private readonly List<int> uploadedSlots;
    private DeviceMemory arenaMemory;
    private ArrayView<byte> arena;

    public StepRunner(QwenModel model, EngineCapacity capacity, StepRunnerOptions? options = null)
    {
        (this.model, this.options) = (model, options ?? new StepRunnerOptions());
        Logger = model.Loggers.CreateLogger<StepRunner>();
        model.Borrow();
        model.Device.Bind();
        memory = new DeviceMemory(model.Device);
        arenaMemory = new DeviceMemory(model.Device);
        try
        {
            Plan = MemoryPlanner.Of(model, this.options).Require(capacity);
            Capacity = Plan.Capacity;
            memory.Reserve(Plan.HeldBytes);
            buffers = new StepBuffers(model, memory, Capacity, Capacity.PrefillChunkTokens);
            SpillSpace = new SpillSpace(model.Device, State, Capacity.SpillBytes);
            uploadedSlots = new List<int>(Capacity.MaxSequences);
            int stepsInFlight = this.options.StepsInFlight != 0 ? this.options.StepsInFlight : model.Device.IsCuda ? 2 : 1;
            Sampler = new Sampler(model, memory, buffers.Sampling);
            Ring = new StepRing(memory, stepsInFlight, Capacity.MaxSequences, buffers.Sequences, buffers.Rows);
            Log.PrefillChunk(Logger, Capacity.PrefillChunkTokens, Plan.ActivationBytes);
            GrowArena(Plan.ActivationBytes);
        }
        catch
        {
            // What does not fit the device must not keep the model from being disposed.
            arenaMemory.Dispose();
            memory.Dispose();
            model.Return();
            throw;
        }
    }

    public EngineCapacity Capacity { get; }

    public ILogger Logger { get; }

    /// <summary>What the runner has taken of the device, and what it will yet.</summary>
    public MemoryPlan Plan { get; }

    public ModelState State => buffers.State;

    public Sampler Sampler { get; }

    /// <summary>Host memory that is freed with the runner.</summary>
    public HostBuffer<byte> AllocateHost(long bytes) => memory.AllocateHost<byte>(bytes);

    /// <summary>Ids that end a turn.</summary>
    public IReadOnlySet<int> EndIds => model.ReadableEndIds;

    /// <summary>Where sequences lie that have no slot for a while.</summary>
    public SpillSpace SpillSpace { get; }

    /// <summary>The steps in flight.</summary>
    public StepRing Ring { get; }

    /// <summary>Device memory of the activations.</summary>
    public long ArenaBytes => arenaMemory.AllocatedBytes;

    /// <summary>Device memory held besides the weights: state, sampling buffers, activations.</summary>
    public long AllocatedBytes => memory.AllocatedBytes + arenaMemory.AllocatedBytes;

    /// <summary>Refuses a part of a step that reaches beyond the model's tables: on a device nothing would.</summary>
    public void Check(in StepSequence sequence)
    {
        const string Op = "step";
        long end = sequence.Position + (long)sequence.Tokens.Length;
        int mostTokens = State.Capacity.PagesPerSequence * KvCache.PageTokens;
        Require.Below(Op, "slot", [sequence.Slot], State.Capacity.Slots);
        if (sequence.Position < 0 || end > mostTokens)
            throw new ArgumentException($"{Op}: tokens {sequence.Position} to {end} of a sequence leave its pages, which hold {mostTokens}");
        Require.Below(Op, "token", sequence.Tokens.Span, model.Config.VocabSize);
        Require.Below(Op, "target", sequence.Targets.Span, model.VocabularySize);
    }

    /// <summary>Runs one step on tokens that the host knows; a decode step draws nothing. Logits and drawn ids are in the order of the logit rows.</summary>
    public BoundStep Run(StepKind kind, ReadOnlySpan<StepSequence> sequences, bool samples = true)
    {
        foreach (ref readonly StepSequence sequence in sequences)
            Check(sequence);
        StepShape shape = StepShape.Of(kind, sequences, samples && kind == StepKind.Prefill);
        BoundStep step = GraphOf(shape);
        model.Device.Bind();
        buffers.Inputs.Fill(step.Fields, shape, sequences, State.Capacity);
        buffers.Inputs.Upload(step.Fields);
        uploadedSlots.Clear();
        Run(step);
        return step;
    }

    /// <summary>Runs one decode step of these slots on the tokens drawn last, which may not have reached the host yet.</summary>
    public BoundStep RunDecode(ReadOnlySpan<int> slots)
    {
        StepShape shape = StepShape.Decode(StepShape.BucketOf(slots.Length));
        BoundStep step = GraphOf(shape);
        model.Device.Bind();
        if (!CollectionsMarshal.AsSpan(uploadedSlots).SequenceEqual(slots))
        {
            buffers.Inputs.FillSlots(step.Fields, shape, slots);
            buffers.Inputs.Upload(step.Fields);
            uploadedSlots.Clear();
            uploadedSlots.AddRange(slots);
        }

        Run(step);
        return step;
    }

    /// <summary>Logits of the step that ran last, [R, Vocab].</summary>
    public float[] ReadLogits(BoundStep step) => Read(step.Recorded.Logits ?? throw new InvalidOperationException("the step computed no logits"));

    /// <summary>Log-probabilities of the targets of a step that has just run, in the order of its sequences.</summary>
    public float[] ReadScores(BoundStep step)
    {
        var values = new float[step.Fields.ScoredRow.Length];
        buffers.Sampling.Scores.SubView(0, values.Length).CopyToCPU(model.Device.Stream, values);
        model.Device.Synchronize();
        return values;
    }

    /// <summary>Contents of a tensor that the step left as an output.</summary>
    public float[] Read(Tensor tensor)
    {
        var values = new float[(long)tensor.Rows * tensor.Columns];
        tensor.View.Data.CopyToCPU(model.Device.Stream, values);
        model.Device.Synchronize();
        return values;
    }

    /// <summary>The recorded and bound graph of a shape; recorded now if this is its first use.</summary>
    public BoundStep GraphOf(StepShape shape)
    {
        if (graphs.TryGetValue(shape, out BoundStep? known))
            return known;
        int mostRows = Ops.MostLogitRows(model.Config.VocabSize);
        Require.That(
            "step", shape.LogitRows <= mostRows,
            $"{shape.LogitRows} rows of logits are asked for, at most {mostRows} of {model.Config.VocabSize} are kept at once");
        (OpGraph graph, RecordedStep recorded) = Record(shape);
        GrowArena(graph.ArenaBytes);
        graph.Bind(arena);
        buffers.Tickets.MemSetToZero(model.Device.Stream);          // a launch that was cut short may have left some drawn
        var step = new BoundStep(graph, recorded, new StepFields(shape, State.DeltaLayerCount), RunnerOf(graph, shape));
        if (shape.Kind == StepKind.Prefill)
        {
            if (prefillShapes.Count == MaxPrefillGraphs)
                graphs.Remove(prefillShapes.Dequeue());
            prefillShapes.Enqueue(shape);
        }

        graphs.Add(shape, step);
        Log.Recorded(Logger, graph.Name, graph.Nodes.Count, graph.Launches.Length, graph.ArenaBytes);
        return step;
    }

    /// <summary>Frees everything, even on a device that has failed and refuses to be waited for.</summary>
    public void Dispose()
    {
        try
        {
            model.Device.Bind();
            model.Device.Synchronize();
        }
        finally
        {
            DropGraphs();
            SpillSpace.Dispose();
            arenaMemory.Dispose();
            memory.Dispose();
            model.Return();
        }
    }

    /// <summary>Records and plans a step of a model; nothing is bound.</summary>
    public static (OpGraph Graph, RecordedStep Recorded) Record(
        QwenModel model, StepInputs inputs, SamplingState sampling, ModelState state, StepShape shape, RecordOptions options,
        ArrayView<int> tickets)
    {
        var graph = new OpGraph(shape.ToString());
        var ops = new Ops(graph, model.Device.Loader, shape, inputs, state, sampling, tickets, options);
        RecordedStep recorded = QwenGraph.Record(model.Weights, ops, state);
        graph.Plan();
        return (graph, recorded);
    }

    private (OpGraph Graph, RecordedStep Recorded) Record(StepShape shape) =>
        Record(model, buffers.Inputs, buffers.Sampling, State, shape, options, buffers.Tickets);

    private void Run(BoundStep step)
    {
        if (options.Checked)
            CheckedRunner.Run(step.Graph, model.Device.Stream, arena);
        else
            step.Runner.Run();
    }

    private IGraphRunner RunnerOf(OpGraph graph, StepShape shape)
    {
        ComputeDevice device = model.Device;
        if (options.Graphs && device.IsCuda && shape.Kind == StepKind.Decode)
            return new CudaGraphRunner(graph, device);
        return options.Graphs && device.IsCpu ? new CpuReplayRunner(graph, device) : new StreamRunner(graph, device.Stream);
    }

    // Graphs bound to a smaller arena are dropped and recorded again when they are next needed.
    private void GrowArena(long bytes)
    {
        if (arena.Length >= bytes)
            return;
        model.Device.Synchronize();
        DropGraphs();
        arenaMemory.Dispose();
        arenaMemory = new DeviceMemory(model.Device);
        arena = arenaMemory.Allocate<byte>(bytes);
    }

    private void DropGraphs()
    {
        foreach (BoundStep step in graphs.Values)
        {
            if (step.Runner is IDisposable runner)
                model.Device.Free(runner);
        }

        graphs.Clear();
        prefillShapes.Clear();
    }
}

/// <summary>A step's graph, what it records, where its inputs lie, and what runs it.</summary>
internal sealed record BoundStep(OpGraph Graph, RecordedStep Recorded, StepFields Fields, IGraphRunner Runner);

/// <summary>How a runner records and runs its graphs.</summary>
/// <param name="Checked">Poison the arena and look for non-finite values after every node.</param>
/// <param name="KeepsResiduals">See <see cref="RecordOptions"/>.</param>
/// <param name="Graphs">Replay a step as one launch: on CUDA each decode shape, captured; on the CPU every shape.</param>
/// <param name="StepsInFlight">Steps queued before the host waits for the oldest one's tokens, 1 or 2; 0: 2 on a GPU, 1 elsewhere.</param>
/// <param name="ScoreBlockRows">See <see cref="RecordOptions"/>.</param>
/// <param name="Tile">See <see cref="RecordOptions"/>.</param>
/// <param name="DeltaForm">See <see cref="RecordOptions"/>.</param>
internal sealed record StepRunnerOptions(
    bool Checked = false, bool KeepsResiduals = false, bool Graphs = true, int StepsInFlight = 0, int ScoreBlockRows = 0,
    PrefillTile? Tile = null, DeltaPrefillForm DeltaForm = DeltaPrefillForm.Fastest)
    : RecordOptions(KeepsResiduals, ScoreBlockRows, Tile, DeltaForm);
