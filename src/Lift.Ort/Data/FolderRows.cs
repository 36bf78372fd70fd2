using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>A folder as data: its <c>metadata.jsonl</c> or <c>metadata.csv</c> where it has one, else one row per file in folders that are named after their class.</summary>
internal static class FolderRows
{
    /// <summary>The field that names the file.</summary>
    public const string FileField = "file_name";

    private static readonly string[] metadata = ["metadata.jsonl", "metadata.json", "metadata.csv"];

    /// <summary>The file that lists the rows, or null where folders name the classes.</summary>
    public static string? List(string folder) => metadata.Select(n => Path.Combine(folder, n)).FirstOrDefault(File.Exists);

    /// <summary>Rows <c>{"file_name": "cat/1.png", "label": "cat"}</c>, sorted by name, so that a row keeps its number on every machine.</summary>
    /// <exception cref="LiftException">No folder in it holds a file that can be read.</exception>
    public static IEnumerable<DataRow> Read(string folder)
    {
        int row = 0;
        foreach (string group in Directory.GetDirectories(folder).Order(StringComparer.Ordinal))
        {
            string label = Path.GetFileName(group);
            foreach (string file in Directory.EnumerateFiles(group, "*", SearchOption.AllDirectories).Where(MediaFile.IsKnown).Order(StringComparer.Ordinal))
            {
                string name = Path.GetRelativePath(folder, file).Replace('\\', '/');
                byte[] json = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { [FileField] = name, ["label"] = label });
                yield return new DataRow(folder, "file", ++row, JsonElement.Parse(json));
            }
        }
        if (row == 0) throw new LiftException($"The data folder '{folder}' has neither {string.Join(" nor ", metadata)} nor a folder per class with {MediaFile.Kinds} in it.");
    }
}
