using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <summary>Python's arithmetic: integers of any size (within reason), floats, and truth values as 0 and 1.</summary>
internal static class JinjaNumbers
{
    // 4300 digits, beyond which Python prints none.
    private const int MaxDigits = 4300;
    private const int MaxBits = 14_284;

    public static bool IsNumber(object? value) => value is bool or BigInteger or double;

    /// <summary>The integer of an int or a bool; null for all else.</summary>
    public static BigInteger? Integer(object value) => value switch
    {
        BigInteger number => number,
        bool flag => flag ? BigInteger.One : BigInteger.Zero,
        _ => null,
    };

    /// <summary>The float of a number; one too large is an error.</summary>
    public static double Float(object value)
    {
        if (value is double number) return number;
        double converted = (double)Integer(value)!.Value;
        return double.IsInfinity(converted) ? throw new JinjaException("int too large to convert to float") : converted;
    }

    /// <summary>Which of two numbers is the greater; null where one is NaN.</summary>
    public static int? Compare(object x, object y)
    {
        if (Integer(x) is { } a && Integer(y) is { } b) return a.CompareTo(b);
        if (x is double c && y is double d) return double.IsNaN(c) || double.IsNaN(d) ? null : c.CompareTo(d);
        if (x is double) return -Compare(y, x);

        double real = (double)y;
        BigInteger whole = Integer(x)!.Value;
        if (double.IsNaN(real)) return null;
        if (double.IsInfinity(real)) return real > 0 ? -1 : 1;
        int order = whole.CompareTo(new BigInteger(Math.Floor(real)));
        return order == 0 && !double.IsInteger(real) ? -1 : order;
    }

    /// <summary>An operation of two numbers.</summary>
    public static object Calculate(string operation, object x, object y)
    {
        if (Integer(x) is { } a && Integer(y) is { } b)
        {
            switch (operation)
            {
                case "+":
                    return Bounded(a + b);
                case "-":
                    return Bounded(a - b);
                case "*":
                    return Bounded(a * b);
                case "//":
                    return FloorDivide(a, NotZero(b, "integer division or modulo by zero"));
                case "%":
                    return a - (FloorDivide(a, NotZero(b, "integer modulo by zero")) * b);
                case "**" when b >= 0:
                    return Power(a, b);
                default:
                    break;
            }
        }

        (double c, double d) = (Float(x), Float(y));
        switch (operation)
        {
            case "+":
                return c + d;
            case "-":
                return c - d;
            case "*":
                return c * d;
            case "/":
                return c / NotZero(d, Integer(x) is null || Integer(y) is null ? "float division by zero" : "division by zero");
            case "//":
                return Math.Floor((c - Modulo(c, NotZero(d, "float floor division by zero"))) / d);
            case "%":
                return Modulo(c, NotZero(d, "float modulo"));
            default:
                if (c == 0 && d < 0) throw new JinjaException("0.0 cannot be raised to a negative power");
                if (c < 0 && !double.IsInteger(d)) throw new JinjaException("a negative number to a fractional power is complex");
                double power = Math.Pow(c, d);
                return double.IsInfinity(power) && double.IsFinite(c) && double.IsFinite(d)
                    ? throw new JinjaException("Result too large")
                    : power;
        }
    }

    /// <summary>The number as Python prints it.</summary>
    public static string ToText(object number, bool json = false) => number switch
    {
        double value when double.IsNaN(value) => json ? "NaN" : "nan",
        double value when double.IsInfinity(value) => (value < 0 ? "-" : "") + (json ? "Infinity" : "inf"),
        double value => PythonNumber.ToText(value.ToString("E16", CultureInfo.InvariantCulture), ""),
        _ => ((BigInteger)number).ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>A float's decimal digits, so many behind the point or, below 0, noughts before it; rounded half to even.</summary>
    public static string Fixed(double value, int digits)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int exponent = (int)((bits >> 52) & 0x7FF);
        BigInteger numerator = (bits & 0xF_FFFF_FFFF_FFFF) | (exponent == 0 ? 0 : 1L << 52);
        exponent = Math.Max(exponent, 1) - 1075;
        numerator *= BigInteger.Pow(10, Math.Max(0, digits)) << Math.Max(0, exponent);
        BigInteger denominator = BigInteger.Pow(10, Math.Max(0, -digits)) << Math.Max(0, -exponent);

        BigInteger quotient = BigInteger.DivRem(numerator, denominator, out BigInteger rest);
        int half = (rest * 2).CompareTo(denominator);
        if (half > 0 || (half == 0 && !quotient.IsEven)) quotient += 1;
        string text = quotient.ToString(CultureInfo.InvariantCulture);
        if (digits > 0)
        {
            text = text.PadLeft(digits + 1, '0');
            text = $"{text[..^digits]}.{text[^digits..]}";
        }
        else if (!quotient.IsZero)
        {
            text += new string('0', -digits);
        }

        return (double.IsNegative(value) ? "-" : "") + text;
    }

    /// <summary>The integer that int() reads; null where the text is none.</summary>
    public static BigInteger? ParseInteger(string text, int numberBase)
    {
        string digits = text.Trim().ToLowerInvariant();
        bool isNegative = digits.StartsWith('-');
        if (isNegative || digits.StartsWith('+')) digits = digits[1..];
        string prefix = digits.Length > 1 && digits[0] == '0' ? digits[..2] : "";
        int prefixBase = prefix switch { "0x" => 16, "0o" => 8, "0b" => 2, _ => 0 };
        if (prefixBase > 0 && (numberBase == 0 || numberBase == prefixBase))
            (digits, numberBase) = (digits[2..].TrimStart('_'), prefixBase);
        if (numberBase == 0) numberBase = 10;
        if (digits.Length is 0 or > MaxDigits || digits[0] == '_' || digits[^1] == '_') return null;
        if (digits.Contains("__", StringComparison.Ordinal)) return null;

        BigInteger number = 0;
        foreach (char digit in digits)
        {
            if (digit == '_') continue;
            int value = char.IsDigit(digit) ? (int)char.GetNumericValue(digit) : digit is >= 'a' and <= 'z' ? digit - 'a' + 10 : 99;
            if (value >= numberBase) return null;
            number = (number * numberBase) + value;
        }

        return isNegative ? -number : number;
    }

    /// <summary>The float that float() reads; null where the text is none.</summary>
    public static double? ParseFloat(string text)
    {
        string trimmed = text.Trim().ToLowerInvariant();
        switch (trimmed.TrimStart('+', '-'))
        {
            case "inf" or "infinity":
                return trimmed[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
            case "nan":
                return double.NaN;
            default:
                const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
                string digits = trimmed.Replace("_", "", StringComparison.Ordinal);
                return double.TryParse(digits, Style, CultureInfo.InvariantCulture, out double value) ? value : null;
        }
    }

    private static double Modulo(double x, double y)
    {
        double rest = x % y;
        if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
        return rest == 0 ? Math.CopySign(0, y) : rest;
    }

    private static BigInteger FloorDivide(BigInteger x, BigInteger y)
    {
        BigInteger quotient = BigInteger.DivRem(x, y, out BigInteger rest);
        return !rest.IsZero && (rest.Sign < 0) != (y.Sign < 0) ? quotient - 1 : quotient;
    }

    private static BigInteger Power(BigInteger x, BigInteger y)
    {
        if (x.IsZero || x.IsOne || x == BigInteger.MinusOne) return y.IsZero ? 1 : x == BigInteger.MinusOne && y.IsEven ? 1 : x;
        if (y * (BigInteger.Abs(x).GetBitLength() - 1) > MaxBits) throw new JinjaException("a number has more than 4300 digits.");
        return Bounded(BigInteger.Pow(x, (int)y));
    }

    private static BigInteger Bounded(BigInteger number) =>
        number.GetBitLength() > MaxBits ? throw new JinjaException("a number has more than 4300 digits.") : number;

    private static BigInteger NotZero(BigInteger number, string words) => number.IsZero ? throw new JinjaException(words) : number;

    private static double NotZero(double number, string words) => number == 0 ? throw new JinjaException(words) : number;
}
