using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>Python's None. The other values are bool, BigInteger, double, <see cref="JinjaText"/> and the types below.</summary>
internal sealed class JinjaNone
{
    public static readonly JinjaNone Value = new();

    private JinjaNone()
    {
    }
}

/// <summary>What is not there: prints as nothing, and fails with these words where more is asked of it.</summary>
internal sealed class JinjaUndefined(string words)
{
    private readonly object? value;

    /// <summary>An attribute that a value does not have. The words are put together when they are asked for, as they seldom are.</summary>
    public JinjaUndefined(object value, string attribute)
        : this(attribute) => this.value = value;

    public JinjaException Error => new(value switch
    {
        null => words,
        JinjaNone => $"'None' has no attribute '{words}'",
        _ => $"'{JinjaOperators.TypeName(value)} object' has no attribute '{words}'",
    });
}

/// <summary>A list, or a tuple; never changed once a template sees it.</summary>
internal sealed class JinjaList(IReadOnlyList<object> items, bool isTuple = false)
{
    public IReadOnlyList<object> Items => items;

    public bool IsTuple => isTuple;

    /// <summary>What the items of a named tuple are called; null for all others.</summary>
    public List<string>? Names { get; init; }
}

/// <summary>A dict in the order of its keys' first occurrence; never changed once a template sees it.</summary>
internal sealed class JinjaDict
{
    public OrderedDictionary<object, object> Items { get; } = new(JinjaEquality.Instance);
}

/// <summary>What dict methods and filters hand out to be walked through; a generator only once.</summary>
internal sealed class JinjaView(string type, IReadOnlyList<object> items, bool isGenerator)
{
    private int next;

    public string Type => type;

    public bool IsGenerator => isGenerator;

    /// <summary>All items of a view; what a generator has left, whereupon nothing is.</summary>
    public IReadOnlyList<object> Take()
    {
        if (!isGenerator) return items;
        IReadOnlyList<object> rest = next == 0 ? items : [.. items.Skip(next)];
        next = items.Count;
        return rest;
    }

    /// <summary>The next item of a generator; null at the end.</summary>
    public object? TakeOne() => next < items.Count ? items[next++] : null;
}

/// <summary>Python's range.</summary>
internal sealed record JinjaRange(int Start, int Stop, int Step, int Count)
{
    public object this[int index] => (BigInteger)(Start + ((long)index * Step));

    /// <summary>Each so many of the numbers from one place to before another.</summary>
    public JinjaRange Slice(int first, int end, int stride)
    {
        long count = stride > 0 ? ((long)end - first + stride - 1) / stride : ((long)first - end - stride - 1) / -(long)stride;
        return new JinjaRange(Start + (first * Step), Start + (end * Step), Step * stride, (int)Math.Max(0, count));
    }
}

/// <summary>What namespace() makes: the one thing that a template may change.</summary>
internal sealed class JinjaNamespace
{
    public OrderedDictionary<string, object> Items { get; } = new(StringComparer.Ordinal);
}

/// <summary>Which values are equal as keys of a dict: as Python has it, 1 and 1.0 and True are.</summary>
internal sealed class JinjaEquality : IEqualityComparer<object>
{
    public static readonly JinjaEquality Instance = new();

    public new bool Equals(object? x, object? y) => (x, y) switch
    {
        (JinjaText a, JinjaText b) => a.Text == b.Text,
        (JinjaList a, JinjaList b) => IsShallow() && a.Items.SequenceEqual(b.Items, this),
        (JinjaUndefined, JinjaUndefined) => true,
        _ when JinjaNumbers.IsNumber(x) && JinjaNumbers.IsNumber(y) => JinjaNumbers.Compare(x!, y!) == 0,
        _ => ReferenceEquals(x, y),
    };

    public int GetHashCode(object value)
    {
        switch (value)
        {
            case JinjaText text:
                return string.GetHashCode(text.Text, StringComparison.Ordinal);
            case JinjaList list when IsShallow():
                HashCode hash = default;
                foreach (object item in list.Items)
                    hash.Add(GetHashCode(item));
                return hash.ToHashCode();
            case bool flag:
                return (flag ? BigInteger.One : BigInteger.Zero).GetHashCode();
            case double number when double.IsInteger(number):
                return new BigInteger(number).GetHashCode();
            case JinjaUndefined:
                return 0;
            default:
                return value.GetHashCode();
        }
    }

    // Tuples of tuples may be keys.
    private static bool IsShallow() =>
        RuntimeHelpers.TryEnsureSufficientExecutionStack() ? true : throw new JinjaException("a key is nested too deeply.");
}

/// <summary>JSON as values, all its strings data.</summary>
internal static class JinjaJson
{
    // As Python has it.
    private const int MaxDigits = 4300;

    /// <summary>A value of a text that was parsed.</summary>
    public static object ToValue(JsonElement json)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException("a value is nested too deeply.");
        switch (json.ValueKind)
        {
            case JsonValueKind.String:
                return JinjaText.Data(PythonJson.GetString(json));
            case JsonValueKind.Number:
                return Number(json.GetRawText());
            case JsonValueKind.True:
            case JsonValueKind.False:
                return json.ValueKind == JsonValueKind.True;
            case JsonValueKind.Array:
                return new JinjaList([.. json.EnumerateArray().Select(ToValue)]);
            case JsonValueKind.Object:
                JinjaDict dict = new();
                foreach ((string name, JsonElement item) in PythonJson.Properties(json))
                    dict.Items[JinjaText.Data(name)] = ToValue(item);
                return dict;
            default:
                return JinjaNone.Value;
        }
    }

    /// <summary>A node, whoever made it.</summary>
    public static object ToValue(JsonNode? json)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException("a value is nested too deeply.");
        switch (json)
        {
            case null:
                return JinjaNone.Value;
            case JsonArray array:
                return new JinjaList([.. array.Select(ToValue)]);
            case JsonObject items:
                JinjaDict dict = new();
                foreach ((string name, JsonNode? item) in items)
                    dict.Items[ToText(name)] = ToValue(item);
                return dict;
            default:
                JsonValue value = json.AsValue();
                return value.TryGetValue(out JsonElement element) ? ToValue(element)
                    : value.TryGetValue(out string? text) ? ToText(text)
                    : ToValue(JsonSerializer.SerializeToElement(value));
        }
    }

    /// <summary>A text of a caller's, in well-formed UTF-16.</summary>
    public static JinjaText ToText(string text) => JinjaText.Data(Unicode.ReplaceUnpairedSurrogates(text));

    private static object Number(string json)
    {
        if (json.AsSpan().IndexOfAny('.', 'e', 'E') >= 0) return double.Parse(json, CultureInfo.InvariantCulture);
        if (json.Length > MaxDigits) throw new JinjaException($"a number has more than {MaxDigits} digits.");
        return BigInteger.Parse(json, CultureInfo.InvariantCulture);
    }
}
