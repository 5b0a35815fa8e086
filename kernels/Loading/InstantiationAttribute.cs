namespace QwenIlgpu.Kernels;

/// <summary>Names type arguments with which a generic kernel is used, so that tests can compile each of them to PTX.</summary>
[AttributeUsage(AttributeTargets.Struct, AllowMultiple = true)]
internal sealed class InstantiationAttribute(params Type[] arguments) : Attribute
{
    public Type[] Arguments { get; } = arguments;
}
