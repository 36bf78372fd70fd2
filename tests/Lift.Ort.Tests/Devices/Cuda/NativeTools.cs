using System.Diagnostics;

namespace Lift.Ort.Tests.Devices.Cuda;

/// <summary>Compilers that the checks without a GPU need; installed from Debian's archive where that is possible, otherwise the test is inconclusive.</summary>
internal static class NativeTools
{
    private static readonly Dictionary<string, bool> known = [];

    /// <summary>Ends the test as inconclusive where the tool is absent and cannot be installed.</summary>
    public static void Need(string tool)
    {
        if (!known.TryGetValue(tool, out bool there)) known[tool] = there = Exists(tool) || Install(tool);
        if (!there) Assert.Inconclusive($"{tool} is absent; on Debian 12: apt-get install -y --no-install-recommends {tool}");
    }

    /// <summary>Runs a program; answers its exit code and everything it wrote.</summary>
    public static (int Code, string Output) Run(string program, IEnumerable<string> arguments, int seconds = 120)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        if (!process.WaitForExit(TimeSpan.FromSeconds(seconds))) process.Kill(true);
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }

    private static bool Exists(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(f => File.Exists(Path.Combine(f, tool)));

    private static bool Install(string tool)
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root" || !File.Exists("/etc/debian_version") || !Exists("apt-get")) return false;
        string[] install = ["install", "-y", "-qq", "--no-install-recommends", tool];
        return (Run("apt-get", install, 180).Code == 0 || (Run("apt-get", ["update", "-qq"], 60).Code == 0 && Run("apt-get", install, 180).Code == 0)) && Exists(tool);
    }
}
