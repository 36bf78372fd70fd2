return Lift.Ort.Cli.LiftProgram.Run(args, Console.Out, Console.Error);
