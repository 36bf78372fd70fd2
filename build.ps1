#!/usr/bin/env pwsh
# Runs a task of build.cake (default: Build). usage: ./build.ps1 [Clean|Restore|Build|Test|Finetune|Bench|Lint|Package] [--key=value …]
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
foreach ($program in 'dotnet', 'npm') {
  if (-not (Get-Command $program -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine("build.ps1: '$program' is missing; install the .NET SDK 10 and Node.js 20 or newer, and put them on the PATH.")
    exit 2
  }
}
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
$env:DOTNET_NOLOGO = '1'
$task, $rest = 'Build', $args
if ($args.Count -gt 0 -and -not $args[0].StartsWith('-')) { $task, $rest = $args }
dotnet tool restore | Out-Null
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
$summary = 'artifacts/tests/summary.txt'
Remove-Item $summary -ErrorAction SilentlyContinue
dotnet tool run dotnet-cake build.cake "--target=$task" --verbosity=minimal @rest
$code = $LASTEXITCODE
if (Test-Path $summary) { Get-Content $summary }
exit $code
