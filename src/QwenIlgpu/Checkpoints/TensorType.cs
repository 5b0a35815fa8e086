namespace QwenIlgpu;

/// <summary>Element types of a safetensors file; <see cref="Unknown"/> stands for a word that the format does not list.</summary>
internal enum TensorType
{
    Unknown,
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    BF16,
    F32,
    F64,
    C64,
    F8E4M3,
    F8E5M2,
    F8E8M0,
    F8E4M3Fnuz,
    F8E5M2Fnuz,
    F6E2M3,
    F6E3M2,
    F4,
}

/// <summary>The words and sizes of the element types.</summary>
internal static class TensorTypes
{
    // Indexed by the enumeration.
    private static readonly (string Name, int Bits)[] Table =
    [
        ("unknown", 0), ("BOOL", 8), ("U8", 8), ("I8", 8), ("U16", 16), ("I16", 16), ("U32", 32), ("I32", 32), ("U64", 64), ("I64", 64),
        ("F16", 16), ("BF16", 16), ("F32", 32), ("F64", 64), ("C64", 64),
        ("F8_E4M3", 8), ("F8_E5M2", 8), ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("F6_E2M3", 6), ("F6_E3M2", 6), ("F4", 4),
    ];

    /// <summary>The type that a file calls <paramref name="name"/>, or <see cref="TensorType.Unknown"/>.</summary>
    public static TensorType Parse(string name)
    {
        for (int i = 1; i < Table.Length; i++)
        {
            if (Table[i].Name == name)
                return (TensorType)i;
        }

        return TensorType.Unknown;
    }

    /// <summary>The word that a file uses for the type.</summary>
    public static string Name(this TensorType type) => Table[(int)type].Name;

    /// <summary>Bits of one element: below 8 for packed types, 0 when unknown.</summary>
    public static int Bits(this TensorType type) => Table[(int)type].Bits;

    /// <summary>Bytes of one element of a type that fills whole bytes.</summary>
    public static int ByteSize(this TensorType type)
    {
        int bits = type.Bits();
        return bits >= 8 ? bits / 8 : throw new ArgumentException($"an element of {type.Name()} does not fill whole bytes", nameof(type));
    }

    /// <summary>True for the three types that plain weights may have.</summary>
    public static bool IsPlainFloat(this TensorType type) => type is TensorType.F32 or TensorType.F16 or TensorType.BF16;

    /// <summary>True for the types that count or index.</summary>
    public static bool IsInteger(this TensorType type) => type is >= TensorType.Bool and <= TensorType.I64;
}
