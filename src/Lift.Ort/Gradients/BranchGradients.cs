using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>
/// The gradient of an If whose condition only the run knows: an If with the same condition, whose branches compute theirs again and then the gradients of what
/// they take from outside. A value that one branch does not depend on has the gradient 0 there.
/// </summary>
internal static class BranchGradients
{
    /// <summary>Appends that If to the graph.</summary>
    /// <param name="dys">Gradients of the node's outputs, null where the loss does not depend on one.</param>
    /// <param name="needs">Which values from outside need a gradient.</param>
    /// <returns>The gradients, by those values' names.</returns>
    /// <exception cref="LiftException">An operator inside a branch has no rule.</exception>
    public static Dictionary<string, Var> Of(Graph graph, Node node, IReadOnlyList<Var?> dys, Func<string, bool> needs)
    {
        string[] wanted = [.. node.Captured.Where(needs)];
        if (wanted.Length == 0 || dys.All(dy => dy is null)) return [];
        string[] results = [.. wanted.Select(w => graph.NewName($"{w}.of.{node.Outputs[0]}"))];
        var made = new Node("If", "", [node.Inputs[0]], results, results[0]);
        foreach (string branch in Branches.Names)
        {
            Graph inner = Branches.Open(graph, node, Branches.Of(node, branch));
            GraphValue[] outputs = [.. inner.Outputs];
            var seeds = new Dictionary<string, List<Var>>();
            for (int i = 0; i < outputs.Length; i++)
                if (dys.ElementAtOrDefault(i) is { } dy) (seeds.TryGetValue(outputs[i].Name, out var list) ? list : seeds[outputs[i].Name] = []).Add(Branches.Take(inner, graph, dy.Name));
            Dictionary<string, Var> gradients;
            try
            {
                gradients = BackwardPass.Through(inner, seeds, wanted);
            }
            catch (LiftException e)
            {
                throw new LiftException($"No gradient for {node}, whose {branch} cannot be passed: {e.Message}");
            }
            inner.Outputs.Clear();
            foreach (string name in wanted)
            {
                if (!inner.Types.ContainsKey(name)) Branches.Take(inner, graph, name);
                Var value = gradients.GetValueOrDefault(name) ?? inner.Var(name).ShapeOf().Filled(0);
                inner.Outputs.Add(new(value.Cast(graph.TypeOf(name).Element).Name, new(graph.TypeOf(name).Element, null)));
            }
            Prune.Run(inner);
            made.Set(new() { Name = branch, Type = AttributeProto.Types.AttributeType.Graph, G = Branches.Close(graph, inner, $"{results[0]}/{branch}") });
        }
        graph.Nodes.Add(made);
        for (int i = 0; i < wanted.Length; i++) graph.Types[results[i]] = graph.TypeOf(wanted[i]);
        return wanted.Zip(results).ToDictionary(w => w.First, w => graph.Var(w.Second));
    }

    /// <summary>Why no gradient passes an If; null where one does, and for other nodes.</summary>
    public static string? WhyNot(Graph graph, Node node)
    {
        if (node.Operator != "If") return null;
        Graph copy = graph.Clone();
        try
        {
            Of(copy, node, [.. node.Outputs.Select(o => graph.TypeOf(o).Element.IsFloat() ? copy.Var(o) : null)], n => graph.TypeOf(n).Element.IsFloat());
            return null;
        }
        catch (LiftException e)
        {
            return e.Message;
        }
    }
}
