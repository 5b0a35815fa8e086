namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class CountsTests
{
    // A warp reads 4 bytes a lane: 128 bytes in a row are 4 sectors of 32, which they would fill at least.
    [TestCase("shl.b32 %r2, %r0, 2;", 4, 4)]
    [TestCase("shl.b32 %r2, %r0, 2;\nadd.s32 %r2, %r2, 4;", 5, 4)]
    [TestCase("shl.b32 %r2, %r0, 3;", 8, 4)]
    [TestCase("shl.b32 %r2, %r0, 7;", 32, 4)]
    [TestCase("mov.b32 %r2, 0;", 1, 1)]
    [TestCase("xor.b32 %r2, %r0, 31;\nshl.b32 %r2, %r2, 2;", 4, 4)]
    [TestCase("and.b32 %r2, %r0, 7;\nshl.b32 %r2, %r2, 2;", 1, 1)]
    [TestCase("and.b32 %r2, %r0, 1;\nshl.b32 %r2, %r2, 5;", 2, 1)]
    public void CountsSectorsOfWords(string offset, int sectors, int minimal) => CheckSectors(offset, "ld.global.b32 %r3, [%rd11];", 1, sectors, minimal);

    // 8 bytes a lane are 8 sectors, 16 are 16, one byte is one; of half a warp as many as it touches, of no lane nothing.
    [TestCase("shl.b32 %r2, %r0, 3;", "ld.global.b64 %rd2, [%rd11];", 1, 8, 8)]
    [TestCase("shl.b32 %r2, %r0, 4;", "ld.global.v4.b32 {%r3, %r4, %r5, %r6}, [%rd11];", 1, 16, 16)]
    [TestCase("shl.b32 %r2, %r0, 4;", "ld.global.v2.b32 {%r3, %r4}, [%rd11];", 1, 16, 8)]
    [TestCase("mov.b32 %r2, %r0;", "ld.global.b8 %h0, [%rd11];", 1, 1, 1)]
    [TestCase("shl.b32 %r2, %r0, 2;", "st.global.b32 [%rd11], %r0;\nld.global.b32 %r3, [%rd11];", 2, 8, 8)]
    [TestCase("shl.b32 %r2, %r0, 2;\nsetp.lt.u32 %p1, %r0, 16;", "@%p1 ld.global.b32 %r3, [%rd11];", 1, 2, 2)]
    [TestCase("shl.b32 %r2, %r0, 2;\nsetp.lt.u32 %p1, %r0, 0;", "@%p1 ld.global.b32 %r3, [%rd11];", 0, 0, 0)]
    [TestCase("mov.b32 %r2, 0;", "red.global.add.u32 [%rd11], 1;", 1, 1, 1)]
    public void CountsSectors(string offset, string access, int requests, int sectors, int minimal) =>
        CheckSectors(offset, access, requests, sectors, minimal);

    // 32 banks of 4 bytes. 8 bytes a lane go in two phases of half a warp, 16 in four of a quarter; one word is given to all that ask for it.
    [TestCase("shl.b32 %r2, %r0, 2;", "ld.shared.b32 %r3, [%r20];", 1, 0)]
    [TestCase("shl.b32 %r2, %r0, 3;", "ld.shared.b32 %r3, [%r20];", 2, 1)]
    [TestCase("shl.b32 %r2, %r0, 7;", "ld.shared.b32 %r3, [%r20];", 32, 31)]
    [TestCase("mul.lo.s32 %r2, %r0, 132;", "ld.shared.b32 %r3, [%r20];", 1, 0)]
    [TestCase("mov.b32 %r2, 0;", "ld.shared.b32 %r3, [%r20];", 1, 0)]
    [TestCase("and.b32 %r2, %r0, 1;\nshl.b32 %r2, %r2, 7;", "ld.shared.b32 %r3, [%r20];", 2, 1)]
    [TestCase("mov.b32 %r2, %r0;", "ld.shared.b8 %h0, [%r20];", 1, 0)]
    [TestCase("shl.b32 %r2, %r0, 3;", "ld.shared.b64 %rd2, [%r20];", 2, 0)]
    [TestCase("shl.b32 %r2, %r0, 4;", "ld.shared.b64 %rd2, [%r20];", 4, 2)]
    [TestCase("shl.b32 %r2, %r0, 4;", "ld.shared.v4.b32 {%r3, %r4, %r5, %r6}, [%r20];", 4, 0)]
    [TestCase("shl.b32 %r2, %r0, 5;", "ld.shared.v4.b32 {%r3, %r4, %r5, %r6}, [%r20];", 8, 4)]
    [TestCase("shl.b32 %r2, %r0, 4;", "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r3, %r4, %r5, %r6}, [%r20];", 4, 0)]
    [TestCase("and.b32 %r2, %r0, 15;\nshl.b32 %r2, %r2, 8;", "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r3, %r4, %r5, %r6}, [%r20];", 32,
        28)]
    [TestCase("and.b32 %r2, %r0, 7;\nshl.b32 %r2, %r2, 8;", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r20];", 8, 7)]
    [TestCase("shl.b32 %r2, %r0, 2;\nsetp.lt.u32 %p1, %r0, 8;", "@%p1 st.shared.b32 [%r20], %r0;", 1, 0)]
    public void CountsBankConflicts(string offset, string access, int passes, int conflicts)
    {
        LaunchCounts counts = CountsOf($".shared .align 16 .b8 s[4352];\n{offset}\nmov.u32 %r20, s;\nadd.u32 %r20, %r20, %r2;\n{access}", Bench.Warp, []);

        Assert.That((counts.SharedRequests, counts.SharedPasses, counts.BankConflicts), Is.EqualTo((1L, (long)passes, (long)conflicts)));
    }

    // Of two groups of two warps, each warp three times through the loop. The first five are the bench's own: two parameters, two moves of
    // thread and group, a product.
    [Test]
    public void CountsInstructionsByClass()
    {
        using var bench = new Bench(new MachineOptions { Counts = true });

        bench.Launch(
            """
            .shared .align 4 .b8 s[4];
            mov.b32 %r2, 0;
            mov.f32 %f0, 0f00000000;
            $loop:
            add.s32 %r2, %r2, 1;
            fma.rn.f32 %f0, %f0, %f0, %f0;
            ex2.approx.f32 %f0, %f0;
            cvt.rzi.s32.f32 %r3, %f0;
            ld.global.b32 %r4, [%rd0];
            shfl.sync.bfly.b32 %r4, %r4, 1, 31, -1;
            setp.lt.s32 %p1, %r2, 3;
            @%p1 bra $loop;
            bar.sync 0;
            atom.shared.add.u32 %r5, [s], 1;
            red.global.add.u32 [%rd1], 1;
            """, Bench.Line(2, 64), bench.Upload(1u), bench.Upload(0u));

        Assert.That(bench.Counts.Instructions.Where(c => c.Value != 0), Is.EquivalentTo(new Dictionary<InstructionClass, long>
        {
            [InstructionClass.Parameter] = 4 * 2,
            [InstructionClass.Move] = 4 * 4,
            [InstructionClass.Whole] = 4 * (1 + (3 * 2)),
            [InstructionClass.Real] = 4 * 3,
            [InstructionClass.Special] = 4 * 3,
            [InstructionClass.Conversion] = 4 * 3,
            [InstructionClass.Global] = 4 * 3,
            [InstructionClass.Shuffle] = 4 * 3,
            [InstructionClass.Barrier] = 4,
            [InstructionClass.Atomic] = 4 * 2,
            [InstructionClass.Branch] = 4 * (3 + 1),
        }));
    }

    // A warp that parts goes both ways; one whose lanes all go one way does not.
    [TestCase(16, 2)]
    [TestCase(32, 1)]
    [TestCase(0, 1)]
    public void CountsBothWays(int taking, int ways)
    {
        LaunchCounts counts = CountsOf(
            $"setp.lt.u32 %p1, %r0, {taking};\n@%p1 bra $low;\nmul.f32 %f0, 0f3f800000, 0f3f800000;\nbra $end;\n$low:\nmul.f32 %f0, 0f3f800000, 0f3f800000;\n$end:",
            Bench.Warp, []);

        Assert.That(counts.Instructions[InstructionClass.Real], Is.EqualTo(ways));
    }

    // The first of the bench's lines are the declarations; the branch is taken, and nothing behind it.
    [Test]
    public void TellsTheLinesThatSomeWarpCameTo()
    {
        const string Body = "setp.lt.u32 %p1, %r0, 64;\n@%p1 bra $taken;\nmov.b32 %r2, 1; // here\n$taken:\nmov.b32 %r2, 2;";
        using var bench = new Bench(new MachineOptions { Counts = true });

        bench.Launch(Body, Bench.Warp);

        int skipped = Bench.MarkedLine(Bench.Text(Body, 0));
        Assert.That(bench.Counts.Lines, Is.SupersetOf(new[] { skipped - 2, skipped - 1, skipped + 2 }));
        Assert.That(bench.Counts.Lines, Has.No.Member(skipped));
    }

    [Test]
    public void CountsNothingUnasked()
    {
        using var bench = new Bench();

        bench.Launch("", Bench.Warp);

        Assert.That(bench.Counts, Is.Null);
    }

    private static void CheckSectors(string offset, string access, int requests, int sectors, int minimal)
    {
        using var bench = new Bench(new MachineOptions { Counts = true });
        bench.Launch($"{offset}\ncvt.u64.u32 %rd11, %r2;\nadd.u64 %rd11, %rd0, %rd11;\n{access}", Bench.Warp, bench.Upload(new uint[1024]));

        Assert.That((bench.Counts.Requests, bench.Counts.Sectors, bench.Counts.MinimalSectors), Is.EqualTo(((long)requests, (long)sectors, (long)minimal)));
    }

    private static LaunchCounts CountsOf(string body, GridShape shape, nint[] arguments)
    {
        using var bench = new Bench(new MachineOptions { Counts = true });
        bench.Launch(body, shape, arguments);
        return bench.Counts;
    }
}
