using System.Globalization;

namespace QwenIlgpu.PtxMachine;

/// <summary>Reads the entries of a PTX text: parameters, shared arrays, registers and statements. Functions that nothing calls are skipped.</summary>
internal sealed class PtxParser(string text)
{
    private static readonly HashSet<string> SpecialRegisters =
    [
        .. from name in (string[])["tid", "ntid", "ctaid", "nctaid"] from axis in (string[])["x", "y", "z"] select $"%{name}.{axis}",
        "%laneid", "%warpid", "%nwarpid", "%dynamic_smem_size", "%total_smem_size", "%lanemask_lt", "%lanemask_eq",
    ];

    private readonly List<Token> tokens = PtxLexer.Tokens(text);
    private readonly Dictionary<string, SharedArray> moduleShared = [];
    private int position;

    public IReadOnlyList<EntryText> Parse()
    {
        var entries = new List<EntryText>();
        while (position < tokens.Count)
        {
            switch (Next().Text)
            {
                case ".version" or ".target" or ".address_size" or ".file":
                    SkipLine();
                    break;
                case ".visible" or ".weak" or ".extern":
                    break;
                case ".func":
                    SkipFunction();
                    break;
                case ".shared":
                    SharedArray array = ParseShared();
                    moduleShared[array.Name] = array;
                    break;
                case ".entry":
                    entries.Add(ParseEntry());
                    break;
                default:
                    position--;
                    throw Trouble($"'{Peek()}' is nothing that the machine knows at the level of a module");
            }
        }

        return entries;
    }

    private EntryText ParseEntry()
    {
        string name = Next().Text;
        var entry = new EntryText(name, new Dictionary<string, SharedArray>(moduleShared));
        Expect("(");
        while (Peek() != ")")
        {
            Expect(".param");
            ParseParameter(entry);
            if (Peek() == ",")
                position++;
        }

        position++;
        while (Peek() != "{")
        {
            string directive = Next().Text;
            int[] values = directive switch
            {
                ".maxntid" or ".reqntid" or ".minnctapersm" or ".maxnreg" => ParseIntegers(),
                _ => throw Trouble($"directive {directive} of entry {name} is unknown"),
            };
            if (directive is ".maxntid" or ".reqntid")
                entry.MaxGroupThreads = values.Aggregate(1, (a, b) => a * b);
            if (directive is ".minnctapersm")
                entry.MinGroups = values[0];
        }

        position++;
        ParseBody(entry);
        return entry;
    }

    private void ParseParameter(EntryText entry)
    {
        (int alignment, int elementBytes) = ParseType();
        string name = Next().Text;
        int count = 1;
        if (Peek() == "[")
            count = ParseBrackets();
        entry.AddParameter(name, Math.Max(alignment, elementBytes), elementBytes * count);
    }

    private (int AlignmentBytes, int ElementBytes) ParseType()
    {
        int alignment = 1;
        while (true)
        {
            string word = Next().Text;
            if (word == ".align")
                alignment = int.Parse(Next().Text, CultureInfo.InvariantCulture);
            else if (word is ".ptr" or ".global" or ".shared")
                continue;
            else
                return (alignment, BitsOf(word) / 8);
        }
    }

    private int BitsOf(string type) => type is ".pred" ? 1
        : type.Length >= 3 && type[0] == '.' && type[1] is 'b' or 'f' or 'u' or 's'
            && int.TryParse(type.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out int bits) ? bits
        : throw Trouble($"'{type}' is no type");

    private int ParseBrackets()
    {
        Expect("[");
        int count = Peek() == "]" ? 0 : int.Parse(Next().Text, CultureInfo.InvariantCulture);
        Expect("]");
        return count;
    }

    private SharedArray ParseShared()
    {
        (int alignment, int elementBytes) = ParseType();
        string name = Next().Text;
        bool isDynamic = false;
        int count = 1;
        if (Peek() == "[")
        {
            count = ParseBrackets();
            isDynamic = count == 0;
        }

        Expect(";");
        return new SharedArray(name, Math.Max(alignment, elementBytes), elementBytes * count, isDynamic);
    }

    private void ParseBody(EntryText entry)
    {
        var scopes = new Stack<Dictionary<string, Slot>>();
        scopes.Push([]);
        while (true)
        {
            Token token = Next();
            switch (token.Text)
            {
                case "{":
                    scopes.Push([]);
                    break;
                case "}":
                    foreach (Slot slot in scopes.Pop().Values)
                        entry.Slots.GiveBack(slot);
                    if (scopes.Count == 0)
                        return;
                    break;
                case ".reg":
                    ParseRegisters(entry.Slots, scopes.Peek());
                    break;
                case ".shared":
                    SharedArray array = ParseShared();
                    entry.Shared[array.Name] = array;
                    break;
                case ".loc":
                    SkipLine();
                    break;
                case ".pragma":
                    position++;
                    Expect(";");
                    break;
                default:
                    if (PtxLexer.IsWord(token.Text) && Peek() == ":")
                        ParseLabel(entry, token.Text);
                    else
                        entry.Statements.Add(ParseStatement(entry, scopes, token));
                    break;
            }
        }
    }

    private void ParseLabel(EntryText entry, string label)
    {
        position++;
        if (Peek() != ".branchtargets")
        {
            entry.Labels[label] = entry.Statements.Count;
            return;
        }

        position++;
        var labels = new List<string>();
        do
            labels.Add(Next().Text);
        while (Next().Text == ",");
        entry.Targets[label] = new BranchTargets(labels);
    }

    private void ParseRegisters(SlotPlan plan, Dictionary<string, Slot> scope)
    {
        string type = Next().Text;
        SlotKind kind = BitsOf(type) switch
        {
            1 => SlotKind.Predicate,
            8 or 16 => SlotKind.Half,
            32 => SlotKind.Word,
            64 => SlotKind.Double,
            _ => throw Trouble($"a register of type {type}"),
        };
        do
        {
            string name = Next().Text;
            if (Peek() != "<")
            {
                scope[name] = plan.Declare(kind);
                continue;
            }

            position++;
            int count = int.Parse(Next().Text, CultureInfo.InvariantCulture);
            Expect(">");
            for (int i = 0; i < count; i++)
                scope[$"{name}{i}"] = plan.Declare(kind);
        }
        while (Next().Text == ",");
    }

    private Statement ParseStatement(EntryText entry, Stack<Dictionary<string, Slot>> scopes, Token token)
    {
        Slot? guard = null;
        bool negated = false;
        if (token.Text == "@")
        {
            if (Peek() == "!")
            {
                negated = true;
                position++;
            }

            guard = ParseOperand(entry, scopes) is Operand.Register register ? register.Slot : throw Trouble("a guard is a predicate");
            token = Next();
        }

        var operands = new List<Operand>();
        while (Peek() != ";")
        {
            operands.Add(ParseOperand(entry, scopes));
            if (Peek() == ",")
                position++;
            else if (Peek() != ";")
                throw Trouble($"'{Peek()}' after an operand of {token.Text}");
        }

        position++;
        return new Statement(token.Line, guard, negated, token.Text, operands);
    }

    private Operand ParseOperand(EntryText entry, Stack<Dictionary<string, Slot>> scopes)
    {
        Token token = Next();
        switch (token.Text)
        {
            case "[":
                Operand at = ParseOperand(entry, scopes);
                long offset = 0;
                if (Peek() is "+" or "-")
                {
                    bool minus = Next().Text == "-";
                    bool again = Peek() == "-";
                    if (again)
                        position++;
                    offset = (long)ParseInteger(Next().Text) * (minus == again ? 1 : -1);
                }

                Expect("]");
                return new Operand.Address(at, offset);
            case "{":
                var elements = new List<Operand>();
                while (Peek() != "}")
                {
                    elements.Add(ParseOperand(entry, scopes));
                    if (Peek() == ",")
                        position++;
                }

                position++;
                return new Operand.Vector(elements);
            case "-":
                return new Operand.Immediate((ulong)-(long)ParseInteger(Next().Text), false, false);
        }

        Operand operand = char.IsAsciiDigit(token.Text[0]) ? ParseNumber(token.Text) : Resolve(entry, scopes, token.Text);
        if (Peek() != "|")
            return operand;
        position++;
        return new Operand.Pair(operand, ParseOperand(entry, scopes));
    }

    private static Operand Resolve(EntryText entry, Stack<Dictionary<string, Slot>> scopes, string name)
    {
        foreach (Dictionary<string, Slot> scope in scopes)
        {
            if (scope.TryGetValue(name, out Slot slot))
                return new Operand.Register(slot);
        }

        return SpecialRegisters.Contains(name) ? new Operand.Register(entry.Slots.Special(name)) : new Operand.Name(name);
    }

    private Operand.Immediate ParseNumber(string word) => word[..Math.Min(2, word.Length)] switch
    {
        _ when word.Contains('.', StringComparison.Ordinal) =>
            new Operand.Immediate(BitConverter.DoubleToUInt64Bits(double.Parse(word, CultureInfo.InvariantCulture)), true, true),
        "0f" or "0F" => new Operand.Immediate(ulong.Parse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture), true, false),
        "0d" or "0D" => new Operand.Immediate(ulong.Parse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture), true, true),
        _ => new Operand.Immediate(ParseInteger(word), false, false),
    };

    private ulong ParseInteger(string word)
    {
        word = word.TrimEnd('U');
        bool isHex = word.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ulong.TryParse(
            isHex ? word.AsSpan(2) : word, isHex ? NumberStyles.HexNumber : NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw Trouble($"'{word}' is no number");
    }

    private int[] ParseIntegers()
    {
        var values = new List<int>();
        do
            values.Add(int.Parse(Next().Text, CultureInfo.InvariantCulture));
        while (Peek() == "," && position++ >= 0);
        return [.. values];
    }

    private void SkipFunction()
    {
        int depth = 0;
        while (true)
        {
            string token = Next().Text;
            depth += token switch { "{" or "(" => 1, "}" or ")" => -1, _ => 0 };
            if (depth == 0 && token is ";" or "}")
                return;
        }
    }

    private void SkipLine()
    {
        int line = tokens[position - 1].Line;
        while (position < tokens.Count && tokens[position].Line == line)
            position++;
    }

    private Token Next() => position < tokens.Count ? tokens[position++] : throw Trouble("the text ends in the middle of something");

    private string Peek() => position < tokens.Count ? tokens[position].Text : "";

    private void Expect(string token)
    {
        if (Next().Text != token)
        {
            position--;
            throw Trouble($"'{Peek()}' instead of '{token}'");
        }
    }

    private PtxException Trouble(string message) => new(tokens.Count == 0 ? 1 : tokens[Math.Min(position, tokens.Count - 1)].Line, message);
}
