using System.Globalization;
using System.Text.RegularExpressions;
using Google.Protobuf;
using AttributeType = Onnx.AttributeProto.Types.AttributeType;

namespace Lift.Ort.Gradients;

/// <summary>
/// A function of standard operators, written as text: a head <c>Name&lt;attributes&gt;(inputs) -> outputs</c> and lines
/// <c>result = Operator&lt;attribute=value&gt;(inputs)</c>. A value is a number, a list, a string, or <c>@name</c>: what the calling node has for that attribute.
/// </summary>
internal sealed partial class FunctionBody
{
    private readonly NodeProto[] nodes;

    public FunctionBody(string head, string lines)
    {
        Match match = Head().Match(head);
        Name = match.Groups["name"].Value;
        Attributes = Names(match.Groups["attributes"].Value);
        Inputs = Names(match.Groups["inputs"].Value);
        Outputs = Names(match.Groups["outputs"].Value);
        nodes = [.. lines.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Parse)];
        ReadAttributes = [.. nodes.SelectMany(n => n.Attribute).Select(a => a.RefAttrName).Where(a => a.Length > 0)];
        ReadInputs = [.. Enumerable.Range(0, Inputs.Length).Where(i => nodes.Any(n => n.Input.Contains(Inputs[i])))];
    }

    public string Name { get; }

    public string[] Attributes { get; }

    public string[] Inputs { get; }

    public string[] Outputs { get; }

    /// <summary>Attributes without which the body has no meaning.</summary>
    public string[] ReadAttributes { get; }

    /// <summary>Indices of the inputs that the body reads.</summary>
    public int[] ReadInputs { get; }

    public FunctionProto ToProto(string domain, int opset)
    {
        var function = new FunctionProto { Name = Name, Domain = domain };
        function.Attribute.AddRange(Attributes);
        function.Input.AddRange(Inputs);
        function.Output.AddRange(Outputs);
        function.Node.AddRange(nodes.Select(n => n.Clone()));
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = opset });
        return function;
    }

    private static NodeProto Parse(string line)
    {
        Match match = Line().Match(line);
        if (!match.Success) throw new FormatException($"no line of a function body: {line}");
        var node = new NodeProto { OpType = match.Groups["op"].Value };
        node.Output.AddRange(Names(match.Groups["outputs"].Value));
        node.Input.AddRange(Names(match.Groups["inputs"].Value));
        foreach (Match a in Assignment().Matches(match.Groups["attributes"].Value)) node.Attribute.Add(Attribute(a.Groups["name"].Value, a.Groups["value"].Value));
        return node;
    }

    private static AttributeProto Attribute(string name, string value)
    {
        var attribute = new AttributeProto { Name = name };
        bool isFloat = name == "value_float";
        if (value[0] == '@')
        {
            attribute.RefAttrName = value[1..];
            attribute.Type = isFloat ? AttributeType.Float : name is "value_ints" or "strides" or "dilations" or "pads" ? AttributeType.Ints : AttributeType.Int;
        }
        else if (value[0] == '[')
        {
            attribute.Type = AttributeType.Ints;
            attribute.Ints.AddRange(Names(value[1..^1]).Select(long.Parse));
        }
        else if (value[0] == '"')
        {
            attribute.Type = AttributeType.String;
            attribute.S = ByteString.CopyFromUtf8(value[1..^1]);
        }
        else if (isFloat)
        {
            attribute.Type = AttributeType.Float;
            attribute.F = float.Parse(value, CultureInfo.InvariantCulture);
        }
        else
        {
            attribute.Type = AttributeType.Int;
            attribute.I = long.Parse(value);
        }
        return attribute;
    }

    private static string[] Names(string list) => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"^(?<name>\w+)(<(?<attributes>.*)>)?\((?<inputs>.*)\) -> (?<outputs>.*)$")]
    private static partial Regex Head();

    [GeneratedRegex(@"^(?<outputs>[\w, ]+) = (?<op>\w+)(<(?<attributes>.*)>)?\((?<inputs>.*)\)$")]
    private static partial Regex Line();

    [GeneratedRegex(@"(?<name>\w+)=(?<value>\[[^\]]*\]|""[^""]*""|[^,]+)")]
    private static partial Regex Assignment();
}
