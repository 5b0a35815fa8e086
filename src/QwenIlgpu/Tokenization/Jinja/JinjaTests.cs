using System.Numerics;

namespace QwenIlgpu;

/// <summary>What can stand behind "is".</summary>
internal static class JinjaTests
{
    public static IReadOnlyDictionary<string, JinjaFunction> All { get; } = ((JinjaFunction[])
    [
        new("boolean", "value", static call => call[0] is bool),
        new("callable", "value", static call => call[0] is JinjaFunction or JinjaMacro or JinjaLoop or JinjaUndefined),
        new("defined", "value", static call => call[0] is not JinjaUndefined),
        new("divisibleby", "value num", static call => Remainder(call, call[1]) == 0),
        new("escaped", "value", static _ => false),
        new("even", "value", static call => Remainder(call, (BigInteger)2) == 0),
        new("false", "value", static call => call[0] is false),
        new("filter", "value", static call => call[0] is JinjaText name && JinjaFilters.All.ContainsKey(name.Text)),
        new("float", "value", static call => call[0] is double),
        new("integer", "value", static call => call[0] is BigInteger),
        new("iterable", "value", static call => JinjaOperators.IsIterable(call[0])),
        new("lower", "value", static call => JinjaStringMethods.All["islower"].Call(call.Run, Only(call.Printed(0)))),
        new("mapping", "value", static call => call[0] is JinjaDict),
        new("none", "value", static call => call[0] is JinjaNone),
        new("number", "value", static call => JinjaNumbers.IsNumber(call[0])),
        new("odd", "value", static call => Remainder(call, (BigInteger)2) == 1),
        new("sameas", "value other", static call => ReferenceEquals(call[0], call[1])
            || (call[0] is bool or BigInteger && call[0].GetType() == call[1].GetType() && call[0].Equals(call[1]))),
        new("sequence", "value", static call => call[0] is JinjaText or JinjaList or JinjaDict or JinjaRange or JinjaUndefined),
        new("string", "value", static call => call[0] is JinjaText),
        new("test", "value", static call => call[0] is JinjaText name && All!.ContainsKey(name.Text)),
        new("true", "value", static call => call[0] is true),
        new("undefined", "value", static call => call[0] is JinjaUndefined),
        new("upper", "value", static call => JinjaStringMethods.All["isupper"].Call(call.Run, Only(call.Printed(0)))),
        .. Comparisons("==", "eq", "equalto"),
        .. Comparisons("!=", "ne"),
        .. Comparisons(">", "gt", "greaterthan"),
        .. Comparisons(">=", "ge"),
        .. Comparisons("<", "lt", "lessthan"),
        .. Comparisons("<=", "le"),
        .. Comparisons("in"),
    ]).ToDictionary(static test => test.Name, StringComparer.Ordinal);

    private static IEnumerable<JinjaFunction> Comparisons(string operation, params string[] names) => names.Prepend(operation).Select(
        name => new JinjaFunction(name, "value other", call => JinjaComparison.Holds(call.Run, call[0], operation, call[1])));

    private static int? Remainder(JinjaBoundCall call, object divisor) =>
        JinjaOperators.Calculate(call.Run, "%", call[0], divisor) switch
        {
            object rest when JinjaNumbers.IsNumber(rest) => JinjaNumbers.Compare(rest, BigInteger.Zero) == 0 ? 0
                : JinjaNumbers.Compare(rest, BigInteger.One) == 0 ? 1 : null,
            _ => null,
        };

    private static JinjaArguments Only(object value)
    {
        JinjaArguments arguments = new();
        arguments.Positional.Add(value);
        return arguments;
    }
}
