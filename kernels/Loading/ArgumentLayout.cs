using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How an operand lies in a launch's parameter buffer: C structure rules, a view being its device address and its length, 8 bytes
/// each.
/// </summary>
internal sealed class ArgumentLayout
{
    private static readonly MethodInfo ViewMethod =
        typeof(ArgumentLayout).GetMethod(nameof(View), BindingFlags.NonPublic | BindingFlags.Static)!;

    private readonly Action<object, Span<byte>> write;

    private ArgumentLayout(int bytes, int alignment, IReadOnlyList<ArgumentWord> words, Action<object, Span<byte>> write)
    {
        Bytes = bytes;
        Alignment = alignment;
        Words = words;
        this.write = write;
    }

    public int Bytes { get; }

    public int Alignment { get; }

    /// <summary>The scalars inside, by offset.</summary>
    public IReadOnlyList<ArgumentWord> Words { get; }

    /// <exception cref="NotSupportedException">The type holds something that cannot be a kernel operand here.</exception>
    public static ArgumentLayout Of(Type type)
    {
        if (type.IsEnum)
            type = type.GetEnumUnderlyingType();
        if (type.IsPrimitive)
            return Scalar(type);
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ArrayView<>))
            return (ArgumentLayout)ViewMethod.MakeGenericMethod(type.GetGenericArguments()).Invoke(null, null)!;
        if (!type.IsValueType)
            throw new NotSupportedException($"{type} is a reference type: it cannot be a kernel operand");
        if (!type.IsLayoutSequential || type.StructLayoutAttribute is { Pack: not (0 or 8) } or { Size: not 0 })
            throw new NotSupportedException($"{type} is empty or has a layout of its own: it cannot be a kernel operand");
        return Structure(type);
    }

    /// <summary>Writes a value of this type; bytes between fields are left alone.</summary>
    public void Write(object value, Span<byte> destination) => write(value, destination[..Bytes]);

    private static ArgumentLayout Structure(Type type)
    {
        FieldInfo[] fields =
            [.. type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).OrderBy(f => f.MetadataToken)];
        var placed = new (FieldInfo Field, ArgumentLayout Layout, int Offset)[fields.Length];
        var words = new List<ArgumentWord>();
        int end = 0;
        int alignment = 1;
        for (int i = 0; i < fields.Length; i++)
        {
            ArgumentLayout layout = Of(fields[i].FieldType);
            int offset = Align(end, layout.Alignment);
            placed[i] = (fields[i], layout, offset);
            words.AddRange(layout.Words.Select(w => w with { Offset = w.Offset + offset }));
            end = offset + layout.Bytes;
            alignment = Math.Max(alignment, layout.Alignment);
        }

        return new ArgumentLayout(Align(end, alignment), alignment, words, (value, destination) =>
        {
            foreach ((FieldInfo field, ArgumentLayout layout, int offset) in placed)
                layout.Write(field.GetValue(value)!, destination[offset..]);
        });
    }

    private static unsafe ArgumentLayout View<T>()
        where T : unmanaged =>
        new(16, 8, [new ArgumentWord(0, 8, IsAddress: true, sizeof(T)), new ArgumentWord(8, 8)], (value, destination) =>
        {
            var view = (ArrayView<T>)value;
            BinaryPrimitives.WriteInt64LittleEndian(destination, view.IsValid ? view.LoadEffectiveAddressAsPtr() : 0);
            BinaryPrimitives.WriteInt64LittleEndian(destination[8..], view.Length);
        });

    private static ArgumentLayout Scalar(Type type) => Type.GetTypeCode(type) switch
    {
        TypeCode.SByte => Scalar<sbyte>(),
        TypeCode.Byte => Scalar<byte>(),
        TypeCode.Int16 => Scalar<short>(),
        TypeCode.UInt16 => Scalar<ushort>(),
        TypeCode.Int32 => Scalar<int>(),
        TypeCode.UInt32 => Scalar<uint>(),
        TypeCode.Int64 => Scalar<long>(),
        TypeCode.UInt64 => Scalar<ulong>(),
        TypeCode.Single => Scalar<float>(),
        TypeCode.Double => Scalar<double>(),
        _ => throw new NotSupportedException($"{type} cannot be a kernel operand"),
    };

    private static unsafe ArgumentLayout Scalar<T>()
        where T : unmanaged =>
        new(sizeof(T), sizeof(T), [new ArgumentWord(0, sizeof(T))], (value, destination) => MemoryMarshal.Write(destination, (T)value));

    private static int Align(int offset, int alignment) => (offset + alignment - 1) / alignment * alignment;
}

/// <summary>One scalar of an operand; of an address, the size of the elements there.</summary>
internal sealed record ArgumentWord(int Offset, int Bytes, bool IsAddress = false, int ElementBytes = 0);
