using System.Globalization;

namespace QwenIlgpu;

/// <summary>How Python prints the numbers of a JSON text: integers of any size as they are, all else as the shortest float.</summary>
internal static class PythonNumber
{
    /// <summary>A number as JSON writes it, as Python prints it; infinity, which only overflow yields, by the word given.</summary>
    public static string ToText(string json, string infinity)
    {
        if (json.AsSpan().IndexOfAny('.', 'e', 'E') < 0) return json == "-0" ? "0" : json;

        double value = double.Parse(json, CultureInfo.InvariantCulture);
        string sign = double.IsNegative(value) ? "-" : "";
        value = Math.Abs(value);
        return sign + (double.IsInfinity(value) ? infinity : value == 0 ? "0.0" : Shortest(value));
    }

    private static string Shortest(double value)
    {
        // E16 would give 17 digits; R gives the fewest that read back the same, in a layout that depends on the exponent.
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        int e = text.IndexOf('E', StringComparison.Ordinal);
        int exponent = e < 0 ? 0 : int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        string mantissa = e < 0 ? text : text[..e];
        int dot = mantissa.IndexOf('.', StringComparison.Ordinal);
        string all = mantissa.Replace(".", "", StringComparison.Ordinal);
        string digits = all.TrimStart('0');
        int point = (dot < 0 ? mantissa.Length : dot) + exponent - (all.Length - digits.Length); // value = 0.digits · 10^point
        digits = digits.TrimEnd('0');

        if (point is <= -4 or > 16)
        {
            string fraction = digits.Length > 1 ? $".{digits[1..]}" : "";
            return string.Create(CultureInfo.InvariantCulture, $"{digits[0]}{fraction}e{(point > 0 ? '+' : '-')}{Math.Abs(point - 1):00}");
        }

        if (point <= 0) return $"0.{new string('0', -point)}{digits}";
        return digits.Length <= point ? $"{digits.PadRight(point, '0')}.0" : $"{digits[..point]}.{digits[point..]}";
    }
}
