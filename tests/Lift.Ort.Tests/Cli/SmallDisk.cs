using System.Diagnostics;

namespace Lift.Ort.Tests.Cli;

/// <summary>A file system in memory that is nearly full or read-only, with one file called <c>existing</c> on it. Needs Linux and root; the test is inconclusive elsewhere.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TempFolder folder = TestFiles.Temp();

    public string Path => folder["disk"];

    public static SmallDisk Mount(bool readOnly)
    {
        var disk = new SmallDisk();
        Directory.CreateDirectory(disk.Path);
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !Run("mount", "-t", "tmpfs", "-o", "size=8k", "lift-test", disk.Path))
        {
            disk.folder.Dispose();
            Assert.Inconclusive("only root on Linux can mount a small disk");
        }
        File.WriteAllText(System.IO.Path.Combine(disk.Path, "existing"), "this file was here before");
        if (readOnly) Assert.IsTrue(Run("mount", "-o", "remount,ro", disk.Path));
        return disk;
    }

    public void Dispose()
    {
        Run("umount", Path);
        folder.Dispose();
    }

    private static bool Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
