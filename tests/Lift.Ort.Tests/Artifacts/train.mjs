// Trains an artifact folder with ONNX Runtime's own training runtime (onnxruntime-web 1.19.2, WebAssembly) and its own AdamW.
// Each line of standard input is a job { "folder", "batches": [{ "input": { "dtype", "shape", "data" }, … }, …] }, one step a batch, and is answered by one
// line of JSON: { inputs, outputs, before, losses, after, parameters }, or { error }.
// before and after are eval losses of the first batch, parameters are the trainable ones, concatenated in graph-input order.
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const dist = join(root, 'node_modules/onnxruntime-web/dist/');
const ort = await import(pathToFileURL(join(dist, 'ort.training.wasm.min.mjs')).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = pathToFileURL(dist).href;
ort.env.logLevel = 'error';

const tensor = ({ dtype, shape, data }) =>
  new ort.Tensor(dtype, dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape);
const feeds = (batch, names) => Object.fromEntries(names.map(name => [name, tensor(batch[name])])); // by position: in the model's order

async function train({ folder, batches }) {
  const read = name => new Uint8Array(readFileSync(join(folder, name)));
  const session = await ort.TrainingSession.create({
    checkpointState: read('checkpoint'),
    trainModel: read('training_model.onnx'),
    evalModel: read('eval_model.onnx'),
    optimizerModel: read('optimizer_model.onnx'),
  }, { executionProviders: ['wasm'] });
  const evaluate = async () => (await session.runEvalStep(feeds(batches[0], session.evalInputNames))).loss.data[0];
  const before = await evaluate();
  const losses = [];
  for (const batch of batches) {
    losses.push((await session.runTrainStep(feeds(batch, session.trainingInputNames))).loss.data[0]);
    await session.runOptimizerStep();
    await session.lazyResetGrad();
  }
  const after = await evaluate();
  const parameters = Array.from((await session.getContiguousParameters(true)).data);
  return { inputs: session.trainingInputNames, outputs: session.trainingOutputNames, before, losses, after, parameters }; // not released: it ends with the process
}

for await (const job of createInterface({ input: process.stdin })) {
  let answer;
  try { answer = await train(JSON.parse(job)); } catch (e) { answer = { error: String(e?.message ?? e) }; }
  console.log(JSON.stringify(answer));
}
