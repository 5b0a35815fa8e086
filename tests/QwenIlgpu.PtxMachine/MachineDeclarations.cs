namespace QwenIlgpu.PtxMachine;

/// <summary>What the kernels of QwenIlgpu do against the machine's rules, and why no harm comes of it.</summary>
public static class MachineDeclarations
{
    private const string NoCodes =
        "a lane without a tile has codes of any bits; each is a finite number once it is unpacked, and its scale is zero";

    private const string SharedValue =
        "what a lane writes over a value is a sum by shuffles over what the other lanes made of that value: they have read it";

    private const string PaddingRows = "rows of padding all go to the first place of a page that no sequence has";

    /// <summary>All that is declared.</summary>
    public static Declaration[] All { get; } =
    [
        new(FaultKind.UndefinedValue, "Kernel_DecodeMatMul", "ld.global.nc", NoCodes),
        new(FaultKind.UndefinedValue, "Kernel_PackedDecodeMatMul", "ld.global.nc", NoCodes),
        new(FaultKind.GlobalRace, "Kernel_KvAppend", "st.global", PaddingRows),
        new(FaultKind.WarpRace, "Kernel_DeltaStepRows", "st.shared.f32", SharedValue),
    ];
}
