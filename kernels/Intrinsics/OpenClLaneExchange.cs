using System.Reflection;
using ILGPU.Backends;
using ILGPU.Backends.OpenCL;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;
using ILGPU.IR.Values;
using ILGPU.Util;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="LaneExchange"/> in OpenCL C: one array in local memory per kernel, eight words a thread. ILGPU would declare another for
/// every call if it were a shared allocation.
/// </summary>
internal static class OpenClLaneExchange
{
    private const int MaxGroupSize = 256;
    private const string Array = "lane_exchange";
    private const string Thread = "get_local_id(0)";

    public static void Register(IntrinsicImplementationManager manager)
    {
        Register(nameof(LaneExchange.Begin), nameof(Barrier));
        Register(nameof(LaneExchange.Put), nameof(Put));
        Register(nameof(LaneExchange.Synchronise), nameof(Barrier));
        Register(nameof(LaneExchange.Get), nameof(Get));

        void Register(string name, string handler)
        {
            MethodInfo method = typeof(LaneExchange).GetMethod(name)!;
            manager.RegisterMethod(method, new CLIntrinsic(typeof(OpenClLaneExchange), handler, IntrinsicImplementationMode.GenerateCode));
        }
    }

    public static void Barrier(CLBackend backend, CLCodeGenerator generator, Value value)
    {
        using CLCodeGenerator.StatementEmitter statement = generator.BeginStatement((RawString)"barrier(CLK_LOCAL_MEM_FENCE)");
    }

    public static void Put(CLBackend backend, CLCodeGenerator generator, Value value)
    {
        Declare(generator);
        var call = (MethodCall)value;
        VariableAllocator.Variable word = generator.Load(call[0]);
        VariableAllocator.Variable put = generator.Load(call[1]);
        using CLCodeGenerator.StatementEmitter statement = generator.BeginStatement((RawString)$"{Array}[{Thread} * {LaneExchange.Words} +");
        statement.Append(word);
        statement.AppendCommand("] =");
        statement.Append(put);
    }

    public static void Get(CLBackend backend, CLCodeGenerator generator, Value value)
    {
        Declare(generator);
        var call = (MethodCall)value;
        VariableAllocator.Variable lane = generator.Load(call[0]);
        VariableAllocator.Variable word = generator.Load(call[1]);
        VariableAllocator.Variable got = generator.Allocate(call);
        using CLCodeGenerator.StatementEmitter statement = generator.BeginStatement(got);
        statement.AppendCommand($"{Array}[(({Thread} & ~{LaneExchange.WarpSize - 1}) + ");
        statement.Append(lane);
        statement.AppendCommand($") * {LaneExchange.Words} +");
        statement.Append(word);
        statement.AppendCommand(']');
    }

    private static void Declare(CLCodeGenerator generator)
    {
        string declaration = $"\tlocal int {Array}[{MaxGroupSize * LaneExchange.Words}];";
        if (!generator.VariableBuilder.ToString().Contains(declaration, StringComparison.Ordinal))
            generator.VariableBuilder.AppendLine(declaration);
    }
}
