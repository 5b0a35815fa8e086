using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace QwenIlgpu.Testing;

/// <summary>
/// The rooms of the kernels: the folder below <c>kernels/</c> in which the debug information says that a type is written, and what types know
/// of one another by their compiled references. Constants are compiled into their users and leave no reference.
/// </summary>
internal static class KernelRooms
{
    private const BindingFlags All =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    // TypeDefinitionDocuments of the portable PDB: where types are written that have no code.
    private static readonly Guid TypeDocuments = new("932E74BC-DBA9-4478-8D46-0F32A7BAB3D3");

    private static readonly Assembly KernelsAssembly = typeof(Kernels.KernelLoader).Assembly;
    private static readonly Lazy<Dictionary<Type, string>> FolderOfType = new(ReadFolders);

    /// <summary>Rooms that every other may know: numbers and memory, instructions, compiling and launching.</summary>
    public static IReadOnlyList<string> Base { get; } = ["Primitives", "Intrinsics", "Loading"];

    /// <summary>Every room in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. FolderOfType.Value.Values.Select(RoomOf).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Types and the folders that they are written in, such as <c>MatMul/Decode</c>; those of the compiler's with their owners.</summary>
    public static IReadOnlyDictionary<Type, string> Folders => FolderOfType.Value;

    public static string RoomOf(string folder) => folder.Split('/')[0];

    /// <summary>Which folder knows which other, with one pair of types that shows it.</summary>
    public static Dictionary<(string From, string To), (Type From, Type To)> Arrows()
    {
        var arrows = new Dictionary<(string, string), (Type, Type)>();
        foreach ((Type type, string folder) in Folders)
        {
            foreach (Type known in ReferencesOf(type))
            {
                if (Folders.TryGetValue(known, out string? other) && other != folder)
                    arrows.TryAdd((folder, other), (type, known));
            }
        }

        return arrows;
    }

    /// <summary>A path that leads back to where it began; null where there is none.</summary>
    public static string? Cycle(IEnumerable<(string From, string To)> arrows)
    {
        ILookup<string, string> next = arrows.ToLookup(a => a.From, a => a.To);
        var done = new HashSet<string>();
        var path = new List<string>();
        return next.Select(n => Search(n.Key)).FirstOrDefault(c => c is not null);

        string? Search(string place)
        {
            if (path.IndexOf(place) is >= 0 and var start)
                return string.Join(" → ", path.Skip(start).Append(place));
            if (!done.Add(place))
                return null;
            path.Add(place);
            string? found = next[place].Select(Search).FirstOrDefault(c => c is not null);
            path.RemoveAt(path.Count - 1);
            return found;
        }
    }

    /// <summary>Types that a type's own code and declarations name, without their type arguments.</summary>
    public static IEnumerable<Type> ReferencesOf(Type type)
    {
        IEnumerable<Type> declared =
        [
            .. type.BaseType is { } parent ? [parent] : Type.EmptyTypes,
            .. type.GetInterfaces(),
            .. type.GetFields(All).Select(f => f.FieldType),
            .. Methods(type).SelectMany(Signature),
            .. type.GetGenericArguments().SelectMany(Constraints),
            .. type.GetCustomAttributesData().SelectMany(a => a.ConstructorArguments.SelectMany(Named).Append(a.AttributeType)),
            .. MembersOf(type).SelectMany(TypesOf),
        ];
        return declared.SelectMany(Parts).Where(t => t.Assembly == KernelsAssembly).Distinct();
    }

    /// <summary>Members that a type's code names, and that of types within it.</summary>
    public static IEnumerable<MemberInfo> MembersOf(Type type) =>
        Methods(type).SelectMany(MembersOf).Concat(type.GetNestedTypes(All).SelectMany(MembersOf));

    /// <summary>Methods of the kernels that some code calls or points to, and those that these do, to the end.</summary>
    public static HashSet<MethodBase> ReachedFrom(IEnumerable<Type> types)
    {
        var reached = new HashSet<MethodBase>();
        var left = new Stack<MemberInfo>(types.SelectMany(MembersOf));
        while (left.TryPop(out MemberInfo? member))
        {
            if (member is not MethodBase method || method.Module.Assembly != KernelsAssembly)
                continue;
            MethodBase definition = method.Module.ResolveMethod(method.MetadataToken)!;
            if (!reached.Add(definition))
                continue;
            foreach (MemberInfo next in MembersOf(definition))
                left.Push(next);
        }

        return reached;
    }

    private static IEnumerable<MemberInfo> MembersOf(MethodBase method)
    {
        Type[] typeArguments = method.DeclaringType!.GetGenericArguments();
        Type[] methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        return IlInstruction.Of(method)
            .Where(i => i.Code.OperandType is OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType or OperandType.InlineTok)
            .Select(i => method.Module.ResolveMember((int)i.Operand, typeArguments, methodArguments)!);
    }

    private static IEnumerable<MethodBase> Methods(Type type) => type.GetMethods(All).Concat<MethodBase>(type.GetConstructors(All));

    private static IEnumerable<Type> Signature(MethodBase method) =>
    [
        .. method.GetParameters().Select(p => p.ParameterType),
        .. method is MethodInfo { ReturnType: var result } ? [result] : Type.EmptyTypes,
        .. method.IsGenericMethod ? method.GetGenericArguments().SelectMany(Constraints) : [],
        .. method.GetMethodBody()?.LocalVariables.Select(v => v.LocalType) ?? [],
    ];

    private static IEnumerable<Type> Constraints(Type argument) =>
        argument.IsGenericParameter ? argument.GetGenericParameterConstraints() : [argument];

    private static IEnumerable<Type> Named(CustomAttributeTypedArgument argument) => argument.Value switch
    {
        Type type => [type],
        IEnumerable<CustomAttributeTypedArgument> several => several.SelectMany(Named),
        _ => [],
    };

    private static IEnumerable<Type> TypesOf(MemberInfo member) =>
    [
        .. member is Type itself ? [itself] : Type.EmptyTypes,
        .. member.DeclaringType is { } owner ? [owner] : Type.EmptyTypes,
        .. member is MethodInfo { IsGenericMethod: true } method ? method.GetGenericArguments() : [],
    ];

    private static IEnumerable<Type> Parts(Type type) => type.HasElementType ? Parts(type.GetElementType()!)
        : type.IsGenericParameter ? []
        : type.IsConstructedGenericType ? type.GetGenericArguments().SelectMany(Parts).Append(type.GetGenericTypeDefinition())
        : [type];

    private static Dictionary<Type, string> ReadFolders()
    {
        using var file = new PEReader(File.OpenRead(KernelsAssembly.Location));
        DebugDirectoryEntry embedded = file.ReadDebugDirectory().Single(e => e.Type == DebugDirectoryEntryType.EmbeddedPortablePdb);
        using MetadataReaderProvider provider = file.ReadEmbeddedPortablePdbDebugDirectoryData(embedded);
        MetadataReader debug = provider.GetMetadataReader();
        MetadataReader metadata = file.GetMetadataReader();
        var folders = new Dictionary<Type, string>();
        foreach (TypeDefinitionHandle handle in metadata.TypeDefinitions)
        {
            if (FolderOf(debug, metadata.GetTypeDefinition(handle), handle) is { } folder)
                folders[KernelsAssembly.ManifestModule.ResolveType(MetadataTokens.GetToken(handle))] = folder;
        }

        foreach (Type type in KernelsAssembly.GetTypes().Where(t => t.IsNested && !folders.ContainsKey(t)))
        {
            Type owner = type;
            while (owner.DeclaringType is { } outer)
                owner = outer;
            if (folders.TryGetValue(owner, out string? folder))
                folders[type] = folder;
        }

        return folders;
    }

    private static string? FolderOf(MetadataReader debug, TypeDefinition type, TypeDefinitionHandle handle)
    {
        IEnumerable<DocumentHandle> documents = debug.GetCustomDebugInformation(handle)
            .Select(debug.GetCustomDebugInformation).Where(i => debug.GetGuid(i.Kind) == TypeDocuments)
            .Select(i => MetadataTokens.DocumentHandle(debug.GetBlobReader(i.Value).ReadCompressedInteger()))
            .Concat(type.GetMethods().Select(m => debug.GetMethodDebugInformation(m).Document).Where(d => !d.IsNil));
        return documents.Select(d => debug.GetString(debug.GetDocument(d).Name).Replace('\\', '/')).Select(Folder).FirstOrDefault(f => f is not null);
    }

    // Below the last folder of that name; null for what the build writes itself.
    private static string? Folder(string document)
    {
        const string Root = "/kernels/";
        int start = document.LastIndexOf(Root, StringComparison.Ordinal) + Root.Length;
        int end = document.LastIndexOf('/');
        return start < Root.Length || end < start || document.AsSpan(start).StartsWith("obj/") ? null : document[start..end];
    }
}
