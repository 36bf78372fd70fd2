// The build: ./build.sh TASK on Linux and macOS, ./build.ps1 TASK on Windows.
#load "tools/build/TestReport.cake"

var target = Argument("target", "Build");
var configuration = Argument("configuration", "Release");
var artifacts = MakeAbsolute(Directory("artifacts"));
var program = artifacts.Combine("lift");

Task("Clean")
    .Description("Deletes everything that can be made again")
    .Does(() =>
    {
        CleanDirectory(artifacts, file => file.Path.FullPath != artifacts.CombineWithFilePath("README.md").FullPath);
        CleanDirectories("src/*/obj");
        CleanDirectories("tests/*/obj");
    });

Task("Restore")
    .Description("Brings the pinned parts: npm (ONNX Runtime) and NuGet packages")
    .Does(() =>
    {
        // node_modules/.package-lock.json is npm's own record of what is installed: where it is as new as the lock, nothing is to do.
        var installed = new System.IO.FileInfo("node_modules/.package-lock.json");
        if (!installed.Exists || installed.LastWriteTimeUtc < System.IO.File.GetLastWriteTimeUtc("package-lock.json"))
            Run("npm", "ci --ignore-scripts --no-audit --no-fund");
        DotNetRestore("Lift.Ort.sln");
    });

Task("Build")
    .Description("Compiles everything and leaves a runnable program at artifacts/lift/lift")
    .IsDependentOn("Restore")
    .Does(() =>
    {
        DotNetBuild("Lift.Ort.sln", new() { Configuration = configuration, NoRestore = true, NoLogo = true });
        CleanDirectory(program);
        DotNetPublish("src/Lift.Ort.Cli", new() { Configuration = configuration, OutputDirectory = program, NoRestore = true, NoBuild = true, NoLogo = true });
        Information("The program is {0}", program.CombineWithFilePath("lift"));
    });

Task("Test")
    .Description("Runs all tests and reports coverage; --filter=EXPRESSION runs some of them")
    .IsDependentOn("Build")
    .Does(() =>
    {
        var results = artifacts.Combine("tests");
        CleanDirectory(results);
        var run = new DotNetTestSettings
        {
            Configuration = configuration,
            NoBuild = true,
            NoLogo = true,
            ResultsDirectory = results,
            Loggers = ["trx;LogFileName=tests.trx", "console;verbosity=minimal"],
            Collectors = ["XPlat Code Coverage"],
            Settings = "tests/coverage.runsettings",
            HandleExitCode = _ => true, // the report below decides, so that it is printed for a failed run too
        };
        if (HasArgument("filter")) run.Filter = Argument<string>("filter");
        DotNetTest("tests/Lift.Ort.Tests", run);
        TestReport.Print(Context, results);
    });

Task("Finetune")
    .Description("The demonstration: fine-tunes the small model of tools/demo with LIFT and with a random mask")
    .IsDependentOn("Build")
    .Does(() => Run("dotnet", $"run --project tools/demo --configuration {configuration} --no-build -- finetune"));

Task("Bench")
    .Description("Measures this program; one JSON line per measurement in artifacts/bench")
    .IsDependentOn("Build")
    .Does(() => Run("bash", "tools/bench/run.sh"));

Task("Fuzz")
    .Description("Damaged model files through inspect and prepare; --count=20000 and --seed=1 say how many and which")
    .IsDependentOn("Build")
    .Does(() => DotNetTest("tests/Lift.Ort.Tests", new DotNetTestSettings
    {
        Configuration = configuration,
        NoBuild = true,
        NoLogo = true,
        Filter = "FullyQualifiedName~FuzzTests",
        Loggers = ["console;verbosity=detailed"],
        EnvironmentVariables = new Dictionary<string, string> { ["LIFT_FUZZ"] = Argument("count", "20000"), ["LIFT_FUZZ_SEED"] = Argument("seed", "1") },
    }));

Task("Lint")
    .Description("Fails when a file is not formatted as .editorconfig says")
    .IsDependentOn("Restore")
    .Does(() => Run("dotnet", "format Lift.Ort.sln --no-restore --verify-no-changes --exclude src/Microsoft.ML.OnnxRuntime --exclude node_modules"));

Task("Package")
    .Description("The NuGet package of the library and an archive of the command")
    .IsDependentOn("Build")
    .Does(() =>
    {
        var packages = artifacts.Combine("packages");
        CleanDirectory(packages);
        DotNetPack("src/Lift.Ort", new() { Configuration = configuration, OutputDirectory = packages, NoBuild = true, NoLogo = true });
        Zip(program, packages.CombineWithFilePath("lift.zip"));
    });

RunTarget(target);

void Run(string tool, string arguments)
{
    // npm is a script on Windows, which only a shell starts.
    bool shell = IsRunningOnWindows() && tool == "npm";
    int code = StartProcess(shell ? "cmd" : tool, shell ? $"/c {tool} {arguments}" : arguments);
    if (code != 0) throw new CakeException(code, $"'{tool} {arguments}' ended with {code}");
}
