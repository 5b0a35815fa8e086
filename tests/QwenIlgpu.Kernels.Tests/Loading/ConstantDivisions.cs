using System.Reflection;
using System.Reflection.Emit;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Finds signed divisions and remainders by constants in a kernel and all that it calls. A constant is what is one to ILGPU once it has
/// inlined everything: a literal, a static property that comes to one by its type arguments, an argument that a caller gives as one.
/// </summary>
internal sealed class ConstantDivisions
{
    private readonly HashSet<Assembly> followed;
    private readonly Dictionary<string, long?> results = [];
    private readonly SortedSet<string> found = new(StringComparer.Ordinal);

    private ConstantDivisions(MethodBase entry) => followed = [typeof(IGroupKernel).Assembly, entry.Module.Assembly];

    /// <summary>As <c>Type.Method: % 16</c>, each once.</summary>
    public static IReadOnlyList<string> In(MethodBase entry)
    {
        var divisions = new ConstantDivisions(entry);
        divisions.Result(entry, new long?[entry.GetParameters().Length]);
        return [.. divisions.found];
    }

    /// <summary>What a method returns for these arguments, "this" first, where it is a constant.</summary>
    private long? Result(MethodBase method, long?[] arguments)
    {
        string key = $"{method.DeclaringType} {method} {string.Join(',', arguments)}";
        if (results.TryGetValue(key, out long? known))
            return known;
        results[key] = null;
        return results[key] = new Walk(this, method, arguments).Result();
    }

    private bool Follows(MethodBase method) =>
        followed.Contains(method.Module.Assembly) && !method.IsDefined(typeof(IntrinsicImplementationAttribute));

    /// <summary>One pass through a body in the order of its text.</summary>
    private sealed class Walk(ConstantDivisions divisions, MethodBase method, long?[] arguments)
    {
        private readonly IReadOnlyList<IlInstruction> instructions = IlInstruction.Of(method);
        private readonly Dictionary<int, Stack<long?>> arriving = [];
        private readonly Dictionary<long, long?> locals = [];
        private Stack<long?> stack = new();
        private Type? constrained;

        public long? Result()
        {
            var returned = new HashSet<long?>();
            bool falls = true;
            foreach (IlInstruction instruction in instructions)
            {
                if (arriving.TryGetValue(instruction.Offset, out Stack<long?>? others))
                    stack = falls ? Merged(stack, others) : others;
                else if (!falls)
                    stack = new();
                falls = instruction.Code.FlowControl is not (FlowControl.Branch or FlowControl.Return or FlowControl.Throw);
                if (instruction.Code == OpCodes.Ret)
                    returned.Add(stack.Count > 0 ? stack.Pop() : null);
                else
                    Step(instruction);
                foreach (int target in instruction.Targets)
                    arriving[target] = arriving.TryGetValue(target, out others) ? Merged(stack, others) : Copy(stack);
            }

            return returned.Count == 1 ? returned.Single() : null;
        }

        private static Stack<long?> Copy(Stack<long?> stack) => new(stack.Reverse());

        private static Stack<long?> Merged(Stack<long?> one, Stack<long?> other) =>
            new(one.Zip(other, (a, b) => a == b ? a : null).Reverse());

        private void Step(IlInstruction instruction)
        {
            OpCode code = instruction.Code;
            string name = code.Name!;
            if (code == OpCodes.Constrained)
                constrained = method.Module.ResolveType((int)instruction.Operand, TypeArguments(), MethodArguments());
            else if (code == OpCodes.Call || code == OpCodes.Callvirt || code == OpCodes.Newobj)
                Call(method.Module.ResolveMethod((int)instruction.Operand, TypeArguments(), MethodArguments())!, code == OpCodes.Newobj);
            else if (name.StartsWith("ldc.i", StringComparison.Ordinal))
                stack.Push(instruction.Code.OperandType == OperandType.InlineNone ? Index(name) : instruction.Operand);
            else if (name.StartsWith("ldarg", StringComparison.Ordinal) && !name.StartsWith("ldarga", StringComparison.Ordinal))
                stack.Push(Stores("starg", "ldarga", Index(instruction)) == 0 ? arguments[Index(instruction)] : null);
            else if (name.StartsWith("ldloc", StringComparison.Ordinal) && !name.StartsWith("ldloca", StringComparison.Ordinal))
                stack.Push(locals.GetValueOrDefault(Index(instruction)));
            else if (name.StartsWith("stloc", StringComparison.Ordinal))
                locals[Index(instruction)] = Stores("stloc", "ldloca", Index(instruction)) == 1 ? stack.Pop() : Forget();
            else if (code == OpCodes.Dup)
                stack.Push(stack.Peek());
            else if (code.StackBehaviourPop == StackBehaviour.Pop1_pop1 && code.FlowControl == FlowControl.Next)
                Combine(name);
            else if (!name.StartsWith("conv.", StringComparison.Ordinal) || name.StartsWith("conv.r", StringComparison.Ordinal))
                Move(code);
        }

        private long? Forget()
        {
            stack.Pop();
            return null;
        }

        private void Combine(string name)
        {
            long? right = stack.Pop();
            long? left = stack.Pop();
            if (name is "div" or "rem" && left is null && right is not null)
                divisions.found.Add($"{Name(method)}: {(name == "div" ? '/' : '%')} {right}");
            stack.Push((name, right) switch
            {
                ("add", _) => left + right,
                ("sub", _) => left - right,
                ("mul", _) => left * right,
                ("div" or "div.un", not 0) => left / right,
                ("rem" or "rem.un", not 0) => left % right,
                ("and", _) => left & right,
                ("or", _) => left | right,
                ("shl", not null) => left << (int)right,
                ("shr" or "shr.un", not null) => left >> (int)right,
                _ => null,
            });
        }

        private void Call(MethodBase target, bool creates)
        {
            target = Implementation(target);
            var given = new long?[target.GetParameters().Length + (target.IsStatic ? 0 : 1)];
            for (int i = given.Length - 1; i >= (creates ? 1 : 0); i--)
                given[i] = stack.Pop();
            long? result = divisions.Follows(target) ? divisions.Result(target, given) : null;
            if (creates || target is MethodInfo { ReturnType: var type } && type != typeof(void))
                stack.Push(result);
        }

        // What the type that a call names has for an interface's method.
        private MethodBase Implementation(MethodBase target)
        {
            Type? type = constrained;
            constrained = null;
            if (type is null || target.DeclaringType is not { IsInterface: true } declared)
                return target;
            InterfaceMapping map = type.GetInterfaceMap(declared);
            MethodInfo called = (MethodInfo)target;
            MethodInfo open = called.IsGenericMethod ? called.GetGenericMethodDefinition() : called;
            MethodInfo implementation = map.TargetMethods[Array.IndexOf(map.InterfaceMethods, open)];
            return called.IsGenericMethod ? implementation.MakeGenericMethod(called.GetGenericArguments()) : implementation;
        }

        private void Move(OpCode code)
        {
            for (int popped = Popped(code.StackBehaviourPop); popped > 0; popped--)
                stack.TryPop(out _);
            if (code.StackBehaviourPush != StackBehaviour.Push0)
                stack.Push(null);
        }

        private static int Popped(StackBehaviour behaviour) =>
            behaviour == StackBehaviour.Pop0 ? 0 : behaviour.ToString().Split('_').Length;

        private int Stores(string store, string address, long index) => instructions.Count(i =>
            (i.Code.Name!.StartsWith(store, StringComparison.Ordinal) || i.Code.Name.StartsWith(address, StringComparison.Ordinal))
            && Index(i) == index);

        private static long Index(IlInstruction instruction) =>
            instruction.Code.OperandType == OperandType.InlineNone ? Index(instruction.Code.Name!) : (byte)instruction.Operand;

        private static long Index(string name) => name.EndsWith("m1", StringComparison.Ordinal) ? -1 : name[^1] - '0';

        private Type[] TypeArguments() => method.DeclaringType!.GetGenericArguments();

        private Type[] MethodArguments() => method.IsGenericMethod ? method.GetGenericArguments() : [];

        private static string Name(MethodBase method) => $"{method.DeclaringType!.Name.Split('`')[0]}.{method.Name}";
    }
}
