using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <summary>Python's format specification: [[fill]align][sign][0][width][,][.precision][type].</summary>
internal sealed record JinjaFormatSpec(char Fill, char? Align, char? Sign, int Width, char? Grouping, int? Precision, char? Type)
{
    private const int MaxWidth = 100_000;
    private const int MaxPrecision = 100;

    public static JinjaFormatSpec Parse(string spec)
    {
        int i = 0;
        char fill = ' ';
        char? align = null;
        if (spec.Length > 1 && spec[1] is '<' or '>' or '^' or '=') (fill, align, i) = (spec[0], spec[1], 2);
        else if (spec[0] is '<' or '>' or '^' or '=') (align, i) = (spec[0], 1);
        char? sign = i < spec.Length && spec[i] is '+' or '-' or ' ' ? spec[i++] : null;
        if (i < spec.Length && spec[i] == '#') i++;
        if (i < spec.Length && spec[i] == '0')
        {
            if (align is null) (fill, align) = ('0', '=');
            i++;
        }

        int width = Digits(spec, ref i) ?? 0;
        char? grouping = i < spec.Length && spec[i] is ',' or '_' ? spec[i++] : null;
        int? precision = null;
        if (i < spec.Length && spec[i] == '.')
        {
            i++;
            precision = Digits(spec, ref i) ?? 0;
        }

        char? type = i < spec.Length ? spec[i++] : null;
        if (i < spec.Length) throw new JinjaException("Invalid format specifier");
        if (width > MaxWidth || (precision > MaxPrecision && type is not (null or 's')))
            throw new JinjaException($"a width above {MaxWidth} or more than {MaxPrecision} digits are not supported");
        return new JinjaFormatSpec(fill, align, sign, width, grouping, precision, type);
    }

    /// <summary>A number with its sign, groups and digits, not yet as wide as it shall be.</summary>
    public string Number(object value)
    {
        bool isFloat = value is double || Type is 'f' or 'F' or 'e' or 'E' or 'g' or 'G' or '%';
        string digits = isFloat ? Float(JinjaNumbers.Float(value)) : Integer(JinjaNumbers.Integer(value)!.Value);
        bool isNegative = digits.StartsWith('-');
        if (isNegative) digits = digits[1..];
        if (Grouping is { } mark) digits = Grouped(digits, mark);
        return (isNegative ? "-" : Sign is '+' or ' ' ? Sign.ToString() : "") + digits;
    }

    private string Integer(BigInteger value) => Type switch
    {
        null or 'd' or 'n' or 'x' or 'X' or 'o' or 'b' when Precision is not null =>
            throw new JinjaException("Precision not allowed in integer format specifier"),
        null or 'd' or 'n' => value.ToString(CultureInfo.InvariantCulture),
        'x' or 'X' or 'o' or 'b' => InBase(value),
        'c' when value >= 0 && value <= 0x10FFFF && System.Text.Rune.IsValid((int)value) => new System.Text.Rune((int)value).ToString(),
        _ => throw new JinjaException($"Unknown format code '{Type}' for object of type 'int'"),
    };

    private string InBase(BigInteger value)
    {
        int numberBase = Type switch { 'o' => 8, 'b' => 2, _ => 16 };
        string digits = "";
        for (BigInteger rest = BigInteger.Abs(value); rest > 0 || digits.Length == 0; rest /= numberBase)
            digits = "0123456789abcdef"[(int)(rest % numberBase)] + digits;
        return (value.Sign < 0 ? "-" : "") + (Type == 'X' ? digits.ToUpperInvariant() : digits);
    }

    private string Float(double value)
    {
        if (!double.IsFinite(value)) return JinjaNumbers.ToText(value);
        string Shown(string format) => value.ToString(format, CultureInfo.InvariantCulture);
        switch (Type)
        {
            case 'f' or 'F':
                return JinjaNumbers.Fixed(value, Precision ?? 6);
            case '%':
                return JinjaNumbers.Fixed(value * 100, Precision ?? 6) + "%";
            case 'e' or 'E':
                string digits = Precision == 0 ? "" : "." + new string('0', Precision ?? 6);
                return Shown($"0{digits}{Type}+00");
            case 'g' or 'G':
            case null when Precision is not null:
                string general = Shown($"{(Type == 'G' ? 'G' : 'g')}{Math.Max(1, Precision ?? 6)}");
                int e = general.AsSpan().IndexOfAny('e', 'E');
                return e < 0 || general.Length - e > 3 ? general : general[..(e + 2)] + "0" + general[(e + 2)..];
            case null:
                return JinjaNumbers.ToText(value);
            default:
                throw new JinjaException($"Unknown format code '{Type}' for object of type 'float'");
        }
    }

    private static string Grouped(string digits, char mark)
    {
        int end = digits.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (end < 0) end = digits.Length;
        for (int i = end - 3; i > 0; i -= 3)
            digits = digits.Insert(i, mark.ToString());
        return digits;
    }

    private static int? Digits(string spec, ref int i)
    {
        int start = i;
        while (i < spec.Length && char.IsAsciiDigit(spec[i])) i++;
        if (start == i) return null;
        return int.TryParse(spec.AsSpan(start, i - start), CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new JinjaException("Too many decimal digits in format string");
    }
}
