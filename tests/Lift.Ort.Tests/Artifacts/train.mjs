// Trains an artifact folder with ONNX Runtime's own training runtime (onnxruntime-web 1.19.2, WebAssembly) and its own AdamW.
// usage: node train.mjs FOLDER BATCHES.json      BATCHES.json: [{ "input": { "dtype", "shape", "data" }, … }, …], one step each
// prints one line of JSON: { inputs, outputs, before, losses, after, parameters }
// before and after are eval losses of the first batch, parameters are the trainable ones, concatenated in graph-input order.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [folder, batchFile] = process.argv.slice(2);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const dist = join(root, 'node_modules/onnxruntime-web/dist/');
const ort = await import(pathToFileURL(join(dist, 'ort.training.wasm.min.mjs')).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = pathToFileURL(dist).href;
ort.env.logLevel = 'error';

const read = name => new Uint8Array(readFileSync(join(folder, name)));
const tensor = ({ dtype, shape, data }) =>
  new ort.Tensor(dtype, dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape);
const feeds = (batch, names) => Object.fromEntries(names.map(name => [name, tensor(batch[name])])); // by position: in the model's order

const session = await ort.TrainingSession.create({
  checkpointState: read('checkpoint'),
  trainModel: read('training_model.onnx'),
  evalModel: read('eval_model.onnx'),
  optimizerModel: read('optimizer_model.onnx'),
}, { executionProviders: ['wasm'] });

const batches = JSON.parse(readFileSync(batchFile, 'utf8'));
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
console.log(JSON.stringify({ inputs: session.trainingInputNames, outputs: session.trainingOutputNames, before, losses, after, parameters }));
