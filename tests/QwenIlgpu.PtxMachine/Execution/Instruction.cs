namespace QwenIlgpu.PtxMachine;

/// <summary>A decoded instruction: what it does to the active lanes of a warp.</summary>
internal abstract class Instruction
{
    /// <summary>Its line in the text.</summary>
    public int Line { get; set; }

    public InstructionClass Class { get; set; }

    public abstract void Execute(Warp warp);
}

/// <summary>An instruction for the lanes whose predicate says so.</summary>
internal sealed class Guarded(Instruction inner, Slot predicate, bool isNegated) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint active = warp.Active;
        warp.RequireDefined(predicate, active, this, "the guard");
        uint chosen = warp.Predicate(predicate);
        warp.Active = active & (isNegated ? ~chosen : chosen);
        if (warp.Active != 0)
            inner.Execute(warp);
        warp.Active = active & (isNegated ? chosen : ~chosen);
        if (warp.Active != 0 && inner is Load load && warp.Launch.IsDeclared(FaultKind.UndefinedValue, Line))
            load.LeaveAnything(warp);
        warp.Active = active;
    }
}
