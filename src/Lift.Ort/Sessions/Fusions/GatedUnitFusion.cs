using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>gate · σ(gate) · up and its gradients become one operator each: neither σ(gate) nor gate · σ(gate) is kept for the way back.</summary>
internal static class GatedUnitFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (node.OpType != "Sigmoid") return false;
        string gate = node.Input[0], s = node.Output[0];
        if (graph.Joined("Mul", gate, s) is not { } swish || graph.Readers(swish.Output[0]) is not [{ OpType: "Mul" } forward, { OpType: "Mul" } dUp]) return false;
        string silu = swish.Output[0];
        if (FusionGraph.Other(forward, silu) is not { } up || FusionGraph.Other(dUp, silu) is not { } dy) return false;
        if (graph.Joined("Mul", dy, up) is not { } dSilu) return false;
        string ds = dSilu.Output[0];
        if (graph.Joined("Mul", ds, s) is not { } direct || graph.Joined("Mul", ds, gate) is not { } through) return false;
        if (graph.Readers(through.Output[0]) is not [{ OpType: "SigmoidGrad" } slope] || slope.Input[1] != s) return false;
        if (graph.Joined("Add", direct.Output[0], slope.Output[0]) is not { } dGate) return false;
        bool closed = graph.ReadOnlyBy(s, swish, direct, slope) && graph.ReadOnlyBy(silu, forward, dUp) && graph.ReadOnlyBy(ds, direct, through)
            && graph.ReadOnlyBy(direct.Output[0], dGate) && graph.ReadOnlyBy(through.Output[0], slope) && graph.ReadOnlyBy(slope.Output[0], dGate);
        if (!closed) return false;
        graph.Replace(forward, [node, swish, forward], Fusion.Node("GatedUnit", OperatorSchema.OwnDomain, [gate, up], [forward.Output[0]]));
        graph.Replace(dSilu, [dSilu, dUp, direct, through, slope, dGate],
            Fusion.Node("GatedUnitGrad", OperatorSchema.OwnDomain, [dy, gate, up], [dGate.Output[0], dUp.Output[0]]));
        return true;
    }
}
