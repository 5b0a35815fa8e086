using System.Text;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Damages JSON text in seeded ways: bits and bytes, numbers, and the structure itself.</summary>
internal sealed class Mutator(int seed)
{
    private const string ValueMark = "\"VALUE\"";
    private const string KeyMark = "\"KEY\"";

    private static readonly string[] Numbers =
    [
        "-1", "0", "1", "2", "7", "255", "2147483647", "2147483648", "4294967296", "9007199254740993", "9223372036854775807",
        "9223372036854775808", "18446744073709551615", "99999999999999999999999", "1e9", "1.5", "-0", "1e999",
    ];

    private static readonly string[] Values =
    [
        "null", "true", "\"\"", "\"x\"", "[]", "{}", "[[[[]]]]", "\"\\ud800\"", "\"\\u0000\"", "[1,2,3]", "{\"a\":1}", "\"BF16\"", "\"F4\"",
        "\"qwen3_5_moe\"", "\"full_attention\"", "1e308",
    ];

    private readonly Random random = new(seed);

    public byte[] Mutate(byte[] json)
    {
        for (int rounds = random.Next(1, 4); rounds > 0; rounds--)
        {
            json = random.Next(6) switch
            {
                0 => FlipBit(json),
                1 => InsertByte(json),
                2 => DeleteBytes(json),
                3 => EditNumber(json),
                _ => EditStructure(json),
            };
        }

        return json;
    }

    public int Next(int bound) => random.Next(bound);

    private byte[] FlipBit(byte[] json)
    {
        byte[] copy = [.. json];
        if (copy.Length > 0)
            copy[random.Next(copy.Length)] ^= (byte)(1 << random.Next(8));
        return copy;
    }

    private byte[] InsertByte(byte[] json)
    {
        int at = random.Next(json.Length + 1);
        byte value = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)"{}[]\",:0\\- e."[random.Next(13)];
        return [.. json[..at], value, .. json[at..]];
    }

    private byte[] DeleteBytes(byte[] json)
    {
        int from = random.Next(json.Length + 1);
        int count = Math.Min(json.Length - from, random.Next(8) == 0 ? random.Next(json.Length + 1) : 1);
        return [.. json[..from], .. json[(from + count)..]];
    }

    private byte[] EditNumber(byte[] json)
    {
        bool IsStart(int i) => json[i - 1] is (byte)':' or (byte)',' or (byte)'[' && char.IsAsciiDigit((char)json[i]);
        int[] starts = [.. Enumerable.Range(1, Math.Max(0, json.Length - 1)).Where(IsStart)];
        if (starts.Length == 0)
            return json;
        int start = starts[random.Next(starts.Length)];
        int end = start;
        while (end < json.Length && (char.IsAsciiDigit((char)json[end]) || json[end] is (byte)'.' or (byte)'e'))
            end++;
        return [.. json[..start], .. Encoding.UTF8.GetBytes(Numbers[random.Next(Numbers.Length)]), .. json[end..]];
    }

    // Text that is no JSON any more stays as it is.
    private byte[] EditStructure(byte[] json)
    {
        if (Parse(json) is not JsonNode root)
            return json;
        List<JsonNode> containers = [];
        Collect(root, containers);
        JsonNode node = containers[random.Next(containers.Count)];
        string key = string.Empty;
        if (node is JsonArray array)
            EditArray(array);
        else if (node is JsonObject { Count: > 0 } members)
            key = EditObject(members);

        // What a tree cannot hold (half a character, a key twice) is put into its text.
        string text = root.ToJsonString()
            .Replace(ValueMark, Value(), StringComparison.Ordinal)
            .Replace(KeyMark, JsonValue.Create(key).ToJsonString(), StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(text);
    }

    private void EditArray(JsonArray array)
    {
        if (array.Count > 0 && random.Next(2) == 0)
            array.RemoveAt(random.Next(array.Count));
        else
            array.Insert(random.Next(array.Count + 1), JsonNode.Parse(ValueMark));
    }

    private string EditObject(JsonObject node)
    {
        string key = node.ElementAt(random.Next(node.Count)).Key;
        string other = node.ElementAt(random.Next(node.Count)).Key;
        switch (random.Next(5))
        {
            case 0:
                node.Remove(key);
                break;
            case 1:
                node[key] = JsonNode.Parse(ValueMark);
                break;
            case 2:
                (node[key], node[other]) = (node[other]?.DeepClone(), node[key]?.DeepClone());
                break;
            case 3:
                node[$"{key}{random.Next(10)}"] = node[key]?.DeepClone();
                break;
            default:
                node["KEY"] = random.Next(2) == 0 ? node[key]?.DeepClone() : JsonNode.Parse(ValueMark);
                break;
        }

        return key;
    }

    private string Value() => random.Next(2) == 0 ? Values[random.Next(Values.Length)] : Numbers[random.Next(Numbers.Length)];

    private static JsonNode? Parse(byte[] json)
    {
        try
        {
            JsonNode? root = JsonNode.Parse(json);
            root?.ToJsonString();                       // reads every name and string
            List<JsonNode> containers = [];
            Collect(root, containers);
            return containers.Count > 0 ? root : null;
        }
        catch (Exception error) when (error is System.Text.Json.JsonException or ArgumentException or InvalidOperationException)
        {
            return null;                                // not JSON, a key twice, or half a character
        }
    }

    private static void Collect(JsonNode? node, List<JsonNode> into)
    {
        if (node is JsonObject members)
        {
            into.Add(node);
            foreach ((_, JsonNode? child) in members)
                Collect(child, into);
        }
        else if (node is JsonArray items)
        {
            into.Add(node);
            foreach (JsonNode? child in items)
                Collect(child, into);
        }
    }
}
